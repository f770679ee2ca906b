package bench

import (
	"strings"
	"testing"
)

func TestReadCacheStatus(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  cacheSaid
	}{
		{"no field", nil, saidNothing},
		{"a hit", []string{"edge; hit"}, saidHit},
		{"a hit with parameters", []string{"edge;ttl=30;hit;key=\"a;b\""}, saidHit},
		{"a hit as a boolean", []string{"edge;hit=?1"}, saidHit},
		{"not a hit as a boolean", []string{"edge;hit=?0"}, saidMiss},
		{"a forward", []string{"edge; fwd=uri-miss; stored"}, saidMiss},
		{"hit only inside a string", []string{`edge; detail="; hit"; fwd=miss`}, saidMiss},
		{"a quote inside a string", []string{`edge; detail="\"; hit; \""; fwd=miss`}, saidMiss},
		{"another cache's hit", []string{"origin; hit, edge; fwd=uri-miss"}, saidMiss},
		{"only another cache", []string{"origin; hit"}, saidNothing},
		{"the name as a string", []string{`"edge"; hit`}, saidHit},
		{"two lines, the last counts", []string{"edge; fwd=uri-miss", "edge; hit"}, saidHit},
	} {
		if got := readCacheStatus(c.lines, "edge"); got != c.want {
			t.Errorf("%s: %q gives %d, want %d", c.name, c.lines, got, c.want)
		}
	}
}

// FuzzCacheStatus: the parts and their separators are the whole, and no answer
// is called a hit without the word.
func FuzzCacheStatus(f *testing.F) {
	f.Add("edge; hit, b; fwd=miss")
	f.Add(`"\`)
	f.Fuzz(func(t *testing.T, in string) {
		var parts []string
		for part := range splitOutsideQuotes(in, ',') {
			parts = append(parts, part)
		}
		if got := strings.Join(parts, ","); got != in {
			t.Fatalf("%q splits into %q", in, parts)
		}
		if readCacheStatus([]string{in}, "edge") == saidHit && !strings.Contains(in, "hit") {
			t.Fatalf("%q is called a hit", in)
		}
	})
}
