package conformance_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgecache/policy"
)

// exchangeCase is a request and its response, a later request for the same
// thing, and a 304. Header lines are "name: value".
type exchangeCase struct {
	Method   string
	Status   int
	Request  []string
	Response []string
	Later    time.Duration // from the response to the second request
	Again    []string
	Confirm  []string // of the 304
}

// verdict is what a policy makes of a case.
type verdict struct {
	Storable bool
	Lifetime float64 // seconds
	Age      float64 // seconds, at the second request
	Reuse    string  // serve, refresh or validate
	Matches  bool    // the 304 confirms what is stored
	Merged   map[string]string
	Why      policy.Reason `json:"-"` // ours alone
}

const semanticsSeed = 9111

// arrival is when every response arrives: the dates of the generator are around it.
var arrival = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// TestSemantics compares policy with npm http-cache-semantics over random header
// fields. Each deviation is one of the list below, with the section that decides
// it. EDGE_SEMANTICS is how many cases are tried.
func TestSemantics(t *testing.T) {
	install(t)
	n := 20_000
	if more, err := strconv.Atoi(os.Getenv("EDGE_SEMANTICS")); err == nil {
		n = more
	}
	random := rand.New(rand.NewPCG(semanticsSeed, uint64(n)))
	fired, agreed := map[string]int{}, 0
	for done := 0; done < n; done += 20_000 {
		cases := make([]exchangeCase, min(n-done, 20_000))
		for i := range cases {
			cases[i] = drawCase(random)
		}
		theirs := ask(t, cases)
		for i := range cases {
			aspect, rule := compare(&cases[i], &theirs[i])
			switch {
			case aspect == "":
				agreed++
			case rule != nil:
				fired[rule.name]++
			default:
				small := shrink(t, cases[i], aspect)
				t.Fatalf("%s differs, and no rule says why:\n%s", aspect, describe(t, &small))
			}
		}
	}
	t.Logf("%d cases, %d agree", n, agreed)
	for i := range deviations {
		name := deviations[i].name
		t.Logf("  %6d %s", fired[name], name)
		if fired[name] == 0 && n >= 200_000 {
			t.Errorf("nothing deviates by %q any more", name)
		}
	}
	if agreed < n/2 {
		t.Errorf("only %d of %d agree: most of what is compared is a known deviation", agreed, n)
	}
}

// compare gives the first aspect in which the two differ, and the rule that
// explains it. What follows from a difference is not looked at.
func compare(c *exchangeCase, theirs *verdict) (aspect string, why *deviation) {
	ours := judgeCase(c)
	differs := func() string {
		switch {
		case ours.Storable != theirs.Storable:
			return "storable"
		case !ours.Storable:
			return ""
		case whole(ours.Lifetime) != whole(theirs.Lifetime):
			return "lifetime"
		case whole(ours.Age) != whole(theirs.Age):
			return "age"
		case ours.Reuse != theirs.Reuse:
			return "reuse"
		case ours.Matches != theirs.Matches:
			return "matches"
		case ours.Matches && !maps.Equal(ours.Merged, theirs.Merged):
			return "merged"
		}
		return ""
	}
	if aspect = differs(); aspect == "" {
		return "", nil
	}
	d := difference{c: c, cc: directives(c.Response), ours: &ours, theirs: theirs}
	for i := range deviations {
		if r := &deviations[i]; slices.Contains(r.aspects, aspect) && r.when(&d) {
			return aspect, r
		}
	}
	return aspect, nil
}

// whole is a span in whole seconds; both sides stop at what RFC 9111, 1.2.2, calls
// infinity.
func whole(s float64) int64 { return int64(min(s, 1<<31-1)) }

// judgeCase is our verdict.
func judgeCase(c *exchangeCase) verdict {
	rules := &policy.Rules{Heuristic: true, HeuristicMax: 1 << 62, TTLMax: 1 << 62, HonorClient: true, SetCookie: policy.SetCookieStore}
	var a policy.Ask
	a.Read(c.Method, fieldsOf(c.Request), rules)
	res := &policy.Response{Status: c.Status, Header: headerOf(c.Response)}
	at := arrival.UnixNano()
	place := policy.URL{Scheme: "http", Host: []byte("a.test"), Path: []byte("/x")}
	d := policy.Judge(&a, rules, res, place, policy.Times{RequestAt: at, ResponseAt: at})
	later := at + int64(c.Later)
	v := verdict{Storable: d.Store, Lifetime: d.Life.Fresh.Seconds(), Age: d.Life.Age(later).Seconds(), Why: d.Why}
	if d.Life.NoCache {
		v.Lifetime = 0
	}
	if !d.Store {
		return v
	}
	var again policy.Ask
	again.Read(c.Method, fieldsOf(c.Again), rules)
	use, _ := policy.Reuse(&again, rules, &d.Life, later)
	v.Reuse = map[policy.Use]string{policy.UseServe: "serve", policy.UseRefresh: "refresh"}[use]
	same := bytes.Equal(policy.AppendSelector(nil, d.Vary, &a), policy.AppendSelector(nil, d.Vary, &again))
	if v.Reuse == "" || !same {
		v.Reuse = "validate"
	}
	stored, confirm := headerOf(c.Response), headerOf(c.Confirm)
	val := policy.Validators{ETag: []byte(stored.Get("Etag")), LastModified: []byte(stored.Get("Last-Modified"))}
	if m, ok := policy.ParseDate(stored.Get("Last-Modified")); ok {
		val.Modified = m.Unix()
	}
	if v.Matches = policy.Freshens(&val, confirm); v.Matches {
		var lines []string
		for name, values := range policy.Merge(stored, confirm, rules) {
			for _, value := range values {
				lines = append(lines, name+": "+value)
			}
		}
		v.Merged = nodeHeaders(lines)
		delete(v.Merged, "date")
		delete(v.Merged, "age")
	}
	return v
}

func fieldsOf(lines []string) (f policy.Fields) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		f = append(f, policy.Field{Name: []byte(name), Value: []byte(value)})
	}
	return f
}

func headerOf(lines []string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

// nodeHeaders joins lines as node does: of some fields the first counts.
func nodeHeaders(lines []string) map[string]string {
	h := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		name = strings.ToLower(name)
		old, there := h[name]
		switch {
		case !there:
			h[name] = value
		case slices.Contains([]string{"age", "expires", "etag", "last-modified", "authorization", "date"}, name):
		default:
			h[name] = old + ", " + value
		}
	}
	return h
}

// ask has the other side judge cases.
func ask(t *testing.T, cases []exchangeCase) []verdict {
	t.Helper()
	var in bytes.Buffer
	lines := json.NewEncoder(&in)
	for i := range cases {
		c := &cases[i]
		err := lines.Encode(map[string]any{
			"method": c.Method, "status": c.Status, "request": nodeHeaders(c.Request), "response": nodeHeaders(c.Response),
			"at": arrival.UnixMilli(), "later": c.Later.Milliseconds(), "again": nodeHeaders(c.Again), "confirm": nodeHeaders(c.Confirm),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	node := exec.CommandContext(t.Context(), tool(t, "node"), "semantics.mjs")
	node.Stdin, node.Stderr = &in, os.Stderr
	out, err := node.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := make([]verdict, 0, len(cases))
	for from := json.NewDecoder(bufio.NewReader(bytes.NewReader(out))); ; {
		var v verdict
		if err := from.Decode(&v); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		delete(v.Merged, "date") // ours begin anew with the 304
		delete(v.Merged, "age")
		all = append(all, v)
	}
	if len(all) != len(cases) {
		t.Fatalf("%d verdicts on %d cases", len(all), len(cases))
	}
	return all
}

// shrink takes lines out of a case as long as the same aspect differs.
func shrink(t *testing.T, c exchangeCase, aspect string) exchangeCase {
	t.Helper()
	for again := true; again; {
		again = false
		for _, list := range []func(*exchangeCase) *[]string{
			func(c *exchangeCase) *[]string { return &c.Request }, func(c *exchangeCase) *[]string { return &c.Response },
			func(c *exchangeCase) *[]string { return &c.Again }, func(c *exchangeCase) *[]string { return &c.Confirm },
		} {
			for i := range *list(&c) {
				less := c
				*list(&less) = slices.Delete(slices.Clone(*list(&c)), i, i+1)
				theirs := ask(t, []exchangeCase{less})
				if got, why := compare(&less, &theirs[0]); got == aspect && why == nil {
					c, again = less, true
					break
				}
			}
		}
	}
	return c
}

func describe(t *testing.T, c *exchangeCase) string {
	t.Helper()
	ours, theirs := judgeCase(c), ask(t, []exchangeCase{*c})[0]
	return fmt.Sprintf("%s %q\n%d %q\n%v later %q\n304 %q\nours   %+v\ntheirs %+v", c.Method, c.Request, c.Status, c.Response, c.Later, c.Again, c.Confirm, ours, theirs)
}
