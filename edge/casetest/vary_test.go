package casetest

import (
	"fmt"
	"strings"
	"testing"

	"edgecache/edge/edgetest"
)

var _ = register(map[string]func(*testing.T){
	"vary-explode": varyExplode,
	"vary-names":   varyNames,
	"vary-ae":      varyAE,
	"vary-changes": varyChanges,
})

// varyExplode: as many agents as one likes make 32 variants, and one purge
// takes them all.
func varyExplode(t *testing.T) {
	const agents = 400
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Header.Get("User-Agent")+strings.Repeat(".", 1000), fresh, "Vary: User-Agent")
	})
	agent := func(i int) (body, line string) {
		name := fmt.Sprint("agent-", i)
		return name + strings.Repeat(".", 1000), "User-Agent: " + name
	}
	empty := s.Store.Stats().Bytes
	for i := range agents {
		body, line := agent(i)
		s.miss(body, "/x", line)
	}
	if st := s.Store.Stats(); st.Resources != 1 || st.Variants != 32 || st.Bytes-empty > 200<<10 {
		t.Errorf("%d resources with %d variants in %d bytes, want 1 with 32", st.Resources, st.Variants, st.Bytes-empty)
	}
	body, line := agent(agents - 32)
	s.hit(body, "/x", line)
	body, line = agent(0)
	s.miss(body, "/x", line) // the oldest was dropped
	s.purge(s.URL + "/x")
	body, line = agent(agents - 1)
	s.miss(body, "/x", line)
	body, line = agent(agents - 2)
	s.miss(body, "/x", line)
}

func varyNames(t *testing.T) {
	names := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprint("X-", i))
		}
		return strings.Join(list, ", ")
	}
	for _, c := range []struct {
		name, vary string
		stored     bool
	}{
		{"a thousand names", names(1000), false},
		{"seventeen", names(17), false},
		{"sixteen", names(16), true},
		{"a star", "*", false},
		{"a star among names", "Accept, *", false},
		{"no token", "A b", false},
		{"nothing", "", true},
		{"an empty member", ", Accept", true},
		{"sixteen, doubled by case", names(16) + ", x-1, X-2", true},
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "page", fresh, "Vary: "+c.vary))
		s.miss("page", "/x")
		if got := s.want("page", "/x"); isHit(got) != c.stored {
			t.Errorf("%s: %s; want it stored: %v", c.name, show(got), c.stored)
		}
	}
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, strings.Join(r.Header["X-List"], "|"), fresh, "Vary: x-LIST")
	})
	s.miss("a,b", "/x", "X-List: a,b")
	s.hit("a,b", "/x", "X-List: a ,  b") // matching is on normalised values
	s.hit("a,b", "/x", "X-List: a", "X-List: b")
	s.miss("b,a", "/x", "X-List: b,a")
	s.miss("", "/x")
}

// varyAE is what is decided so far: the origin sees the reduced field, and one
// variant serves all ways to write it. What a client refuses is a later part.
func varyAE(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		ae := r.Header.Get("Accept-Encoding")
		lines := []string{fresh, "Vary: Accept-Encoding"}
		if strings.Contains(ae, "gzip") {
			lines = append(lines, "Content-Encoding: gzip")
		}
		return edgetest.Text(200, "for "+ae, lines...)
	})
	first := s.Get("/x", "Accept-Encoding: gzip, deflate;q=0.5")
	forwarded := s.last().Header.Get("Accept-Encoding")
	if first.Status != 200 || first.Body != "for "+forwarded || !strings.Contains(forwarded, "gzip") {
		t.Fatal(show(first))
	}
	s.hit(first.Body, "/x", "Accept-Encoding: deflate;q=0.1 ,gzip;q=1.0")
	s.hit(first.Body, "/x", "Accept-Encoding: GZIP")
	for _, refused := range []string{"gzip;q=0", "identity", "gzip;q=0, deflate"} {
		if got := s.Get("/x", "Accept-Encoding: "+refused); got.Header.Get("Content-Encoding") != "" || strings.Contains(got.Body, "gzip") {
			t.Errorf("Accept-Encoding %s: %s, want nothing in gzip", refused, show(got))
		}
	}
	var codings = []string{"gzip", "br", "zstd", "deflate", "identity", "*"}
	for i := range 200 {
		line := "Accept-Encoding: "
		for j, name := range codings {
			line += fmt.Sprintf("%s;q=0.%d, ", name, i>>j&1*(1+j))
		}
		s.status(200, "/x", strings.TrimSuffix(line, ", "))
	}
	if n := s.Store.Stats().Variants; n > 4 {
		t.Errorf("%d variants, want 4 at most", n)
	}
}

// varyChanges: the newest Vary decides what an answer was selected by.
func varyChanges(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		vary := "Vary: A"
		if r.Header.Get("A") == "2" {
			vary = "Vary: A, B"
		}
		return edgetest.Text(200, "A="+r.Header.Get("A")+" B="+r.Header.Get("B"), fresh, vary)
	})
	s.miss("A=1 B=", "/x", "A: 1")
	s.hit("A=1 B=", "/x", "A: 1", "B: 7") // by its own Vary
	s.miss("A=2 B=8", "/x", "A: 2", "B: 8")
	s.hit("A=2 B=8", "/x", "A: 2", "B: 8")
	s.miss("A=2 B=9", "/x", "A: 2", "B: 9")
	s.miss("A=1 B=7", "/x", "A: 1", "B: 7") // the old one says nothing of B
}

// TestVaryByWhatEdgeWrites: the origin gets these fields from us, so what a
// client sends under their names selects nothing, and what differs from client
// to client is nobody else's.
func TestVaryByWhatEdgeWrites(t *testing.T) {
	s := open(t, edgetest.Config{})
	for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "X-Request-Id"} {
		s.origin.On("/"+name, edgetest.Text(200, "yours alone", fresh, "Vary: "+name))
		s.miss("yours alone", "/"+name)
		s.miss("yours alone", "/"+name)
		s.asked(2, "/"+name)
	}
	s.origin.OnFunc("/scheme", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Header.Get("X-Forwarded-Proto"), fresh, "Vary: X-Forwarded-Proto")
	})
	s.miss("http", "/scheme")
	s.hit("http", "/scheme", "X-Forwarded-Proto: https") // nobody whom we trust
	s.asked(1, "/scheme")
}
