package ratio

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"edgecache/bench"
	"edgecache/cachestore"
)

// figure is what must be reached on a trace with memory of 1 % and disk of 10 % of its unique
// bytes; 0 is nothing in particular. alone is the object miss ratio of memory without a disk.
type figure struct {
	trace                           string
	objects, bytes, memory, written float64
	alone                           float64
	long                            bool // a million requests: only when asked for
}

var figures = []figure{
	{"adaptsize-web", .590, .655, .325, .13, .675, false},
	{"cache2k-web07", .428, 0, .435, .10, .565, false},
	{"tragen-tc0", .0445, .060, .94, .045, .060, false},
	{"tragen-eu2", .299, .302, .70, .05, .299, true},
	{"synth-z08", .283, .615, .50, .16, .50, true},
	{"synth-z10", .223, .358, .665, .085, .335, true},
	{"arc-oltp", .321, 0, .45, .33, .55, true},
	{"scarab-recs", .374, 0, .425, .38, .575, true},
}

// TestFigures holds what edge keeps to what was reached on real and modelled traces. The long
// ones take minutes: EDGE_LONG=1.
func TestFigures(t *testing.T) {
	shared := cmp.Or(os.Getenv("EDGE_SHARED"), filepath.Join("..", "..", "..", "shared"))
	for _, f := range figures {
		t.Run(f.trace, func(t *testing.T) {
			path := filepath.Join(shared, "traces", f.trace+".tr.gz")
			switch _, err := os.Stat(path); {
			case err != nil:
				t.Skip("no traces: ", err)
			case raced:
				t.Skip("one goroutine, and Ristretto forgets what it is told")
			case f.long && os.Getenv("EDGE_LONG") == "":
				t.Skip("takes long; EDGE_LONG is not set")
			}
			in, err := Load(path, bench.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			rows := run(t, in, Config{
				Memory: []Size{{Percent: 1}}, Disk: []Size{{Percent: 10}, {}}, Admission: cachestore.AdmitSZ2, Runs: 3,
			})
			r, alone := rows[0], rows[1].Edge.ObjectMissRatio()
			t.Logf("misses %.4f, bytes %.4f, memory %.4f, written %.4f; memory alone %.4f; LRU %.4f, optimum %.4f",
				r.Edge.ObjectMissRatio(), r.Edge.ByteMissRatio(), r.Edge.MemoryHitRatio(), r.Edge.WrittenPerRequested(), alone,
				r.LRU.ObjectMissRatio(), r.Optimum.ObjectMissRatio())
			most := func(what string, got, want float64) {
				if want != 0 && got > want+.00005 {
					t.Errorf("%s %.4f, want at most %.4f", what, got, want)
				}
			}
			most("object miss ratio", r.Edge.ObjectMissRatio(), f.objects)
			most("byte miss ratio", r.Edge.ByteMissRatio(), f.bytes)
			most("written ÷ requested", r.Edge.WrittenPerRequested(), f.written)
			most("object miss ratio of memory alone", alone, f.alone)
			most("memory miss ratio", 1-r.Edge.MemoryHitRatio(), 1-f.memory)
		})
	}
}
