package bench

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func readAll(t *testing.T, in string, limits Limits) ([]Request, error) {
	t.Helper()
	r, err := NewReader(strings.NewReader(in), limits)
	if err != nil {
		return nil, err
	}
	var out []Request
	for {
		req, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, req)
	}
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	w.Write([]byte(text))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

const logged = `{"time":"2026-01-02T03:04:05.5Z","id":"r1","kind":"client","client":"10.0.0.1","method":"GET","scheme":"https","host":"a.example","uri":"/x?q=1","status":200,"bytes":700,"body_bytes":500,"cache":"miss","reason":"uri_miss"}
{"time":"2026-01-02T03:04:06Z","kind":"refresh","method":"GET","scheme":"https","host":"a.example","uri":"/x?q=1","status":200,"body_bytes":500}
{"time":"2026-01-02T03:04:06Z","kind":"client","method":"POST","scheme":"https","host":"a.example","uri":"/x","status":200,"body_bytes":5}
{"time":"2026-01-02T03:04:06Z","kind":"client","method":"","status":400,"body_bytes":0,"reason":"bad_request"}
{"time":1767323047,"kind":"client","method":"GET","scheme":"http","host":"b.example:81","uri":"/gone","status":404,"body_bytes":9}
`

func TestReader(t *testing.T) {
	abc := []Request{{1, "a", 10}, {2, "b", 20}, {2.5, "a", 10}}
	for _, c := range []struct {
		name, in string
		want     []Request
	}{
		{"blanks separate", "1 a 10\n2 b 20\n2.5 a 10\n", abc},
		{"commas separate", "1,a,10\n2, b ,20\n2.5 , a,10\n", abc},
		{"tabs and runs of blanks separate", "1\ta\t10\r\n\n  2   b 20\n2.5 a 10", abc},
		{"gzip is seen by its magic", packed(t, "1 a 10\n2 b 20\n2.5 a 10\n"), abc},
		{"an id may hold the other separator", "1 /a,b;c 10\n2,x y,3\n", []Request{{1, "/a,b;c", 10}, {2, "x y", 3}}},
		{"an empty input has no requests", "", nil},
		{"a log gives what clients got with GET", logged, []Request{
			{1767323045.5, "https://a.example/x?q=1", 500},
			{1767323047, "http://b.example:81/gone", 9},
		}},
		{"a packed log is a log", packed(t, logged), []Request{
			{1767323045.5, "https://a.example/x?q=1", 500},
			{1767323047, "http://b.example:81/gone", 9},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(t, c.in, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	small := Limits{LineBytes: 64, Lines: 3}
	for _, c := range []struct {
		name, in string
		line     int
		want     string
	}{
		{"two fields", "1 a 10\n2 b\n", 2, "2 fields"},
		{"four fields", "1 a 10 x\n", 1, "4 fields"},
		{"four fields by commas", "1,a,10,x\n", 1, "4 fields"},
		{"an empty field", "1,,10\n", 1, "field 2 is empty"},
		{"a time that is no number", "1 a 10\n2 a 10\nzwei b 3\n", 3, `time "zwei"`},
		{"a time that is not finite", "inf a 3\n", 1, "time"},
		{"a negative size", "1 a -3\n", 1, `size "-3"`},
		{"a size beyond 64 bits", "1 a 99999999999999999999\n", 1, "size"},
		{"a line over the limit", "1 a 10\n2 " + strings.Repeat("x", 61) + " 3\n", 2, ErrLineTooLong.Error()},
		{"a line without end", "1 " + strings.Repeat("x", 1<<20), 1, ErrLineTooLong.Error()},
		{"a line too many", "1 a 1\n1 a 1\n1 a 1\n1 a 1\n", 4, ErrTooManyLines.Error()},
		{"a log line that is no JSON", "{\"kind\":\"refresh\"}\n1 a 10\n", 2, "not a line of an access log"},
		{"half a log line", `{"kind":"client"`, 1, "not a line of an access log"},
		{"gzip that ends early", packed(t, "1 a 10\n")[:20], 2, "EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readAll(t, c.in, small)
			var at *LineError
			if !errors.As(err, &at) {
				t.Fatalf("got %v, want a LineError", err)
			}
			if at.Line != c.line || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want line %d and %q", err, c.line, c.want)
			}
		})
	}
}

func TestReaderRefusesLogLinesThatLackTheirFields(t *testing.T) {
	whole := `{"time":1,"method":"GET","scheme":"http","host":"h","uri":"/","status":200,"body_bytes":1}`
	if got, err := readAll(t, whole, Limits{}); err != nil || len(got) != 1 {
		t.Fatalf("the whole line: %v, %v", got, err)
	}
	for _, part := range []string{`"time":1,`, `"scheme":"http",`, `"host":"h",`, `"uri":"/",`, `,"body_bytes":1`} {
		if got, err := readAll(t, strings.Replace(whole, part, "", 1), Limits{}); err == nil {
			t.Errorf("without %s: got %v, want an error", part, got)
		}
	}
}

func TestReaderTakesALineAtTheLimit(t *testing.T) {
	line := "2 " + strings.Repeat("x", 60) + " 3"
	got, err := readAll(t, strings.Repeat(line+"\n", 3), Limits{LineBytes: len(line), Lines: 3})
	if err != nil || len(got) != 3 {
		t.Errorf("got %d requests and %v, want 3", len(got), err)
	}
}

func TestLoad(t *testing.T) {
	w, err := Load(strings.NewReader("0 b 5\n0 a 7\n1 b 9\n1 b 4\n"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := &Workload{IDs: []string{"b", "a"}, Sizes: []int64{9, 7}, Requests: []uint32{0, 1, 0, 0}, Seconds: 1}
	if !reflect.DeepEqual(w, want) {
		t.Errorf("got %+v, want %+v", w, want)
	}
	if got := w.Bytes(); got != 34 {
		t.Errorf("Bytes is %d, want 34", got)
	}
}

func TestLoadPutsALogInOrderOfTime(t *testing.T) {
	line := `{"time":"2026-01-02T03:04:05.%sZ","method":"GET","scheme":"http","host":"h","uri":"/%s","status":%d,"body_bytes":%d}` + "\n"
	in := fmt.Sprintf(line, "000900", "late", 200, 9) + fmt.Sprintf(line, "000100", "early", 200, 50) +
		fmt.Sprintf(line, "000900", "early", 304, 0)
	w, err := Load(strings.NewReader(in), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := &Workload{
		Format: AccessLog, IDs: []string{"http://h/late", "http://h/early"},
		Sizes: []int64{9, 50}, Requests: []uint32{1, 0, 1},
	}
	if w.Seconds < 0.0007 || w.Seconds > 0.0009 {
		t.Errorf("%v seconds, want 0.0008", w.Seconds)
	}
	if w.Seconds = 0; !reflect.DeepEqual(w, want) {
		t.Errorf("got %+v, want %+v", w, want)
	}
}

// Lifetimes come from edge's own log alone; what it says may not be stored is told apart.
func TestLoadReadsLifetimes(t *testing.T) {
	line := `{"time":"2026-01-02T03:04:0%d.0Z","kind":"client","method":"GET","scheme":"http","host":"h","uri":"/%d","status":200,"body_bytes":9,"cache":"%s",%s"ttl":%d}` + "\n"
	in := fmt.Sprintf(line, 0, 0, "miss", "", 60) + fmt.Sprintf(line, 1, 1, "hit", "", 59) +
		fmt.Sprintf(line, 2, 2, "miss", `"unstored":"no_store",`, 0) + fmt.Sprintf(line, 3, 3, "bypass", "", 0) +
		fmt.Sprintf(line, 4, 4, "miss", `"unstored":"aborted",`, 0) + fmt.Sprintf(line, 5, 5, "stale", "", -3)
	w, err := Load(strings.NewReader(in), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{60, 59, Unstorable, Unstorable, 0, 1}; !slices.Equal(w.Fresh, want) || len(w.At) != 6 || w.At[1]-w.At[0] != 1e9 {
		t.Errorf("lifetimes %v at %v, want %v", w.Fresh, w.At, want)
	}
}

func TestLoadOfATraceWithoutSizes(t *testing.T) {
	w, err := Load(strings.NewReader("0 a 1\n1 b 1\n"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !w.Unsized || w.Sizes[0] != UnsizedBytes || w.Sizes[1] != UnsizedBytes {
		t.Errorf("got %+v, want objects of %d bytes", w, UnsizedBytes)
	}
}

func TestLoadRefuses(t *testing.T) {
	if _, err := Load(strings.NewReader("\n\n"), Limits{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("blank lines: got %v, want ErrEmpty", err)
	}
	in := "0 aaaa 1\n0 bbbb 1\n0 aaaa 1\n"
	if _, err := Load(strings.NewReader(in), Limits{IDBytes: 8}); err != nil {
		t.Errorf("ids at the limit: %v", err)
	}
	if _, err := Load(strings.NewReader(in), Limits{IDBytes: 7}); !errors.Is(err, ErrTooManyIDs) {
		t.Errorf("ids over the limit: got %v, want ErrTooManyIDs", err)
	}
}

// FuzzReader: whatever the bytes, the reader ends, keeps its bounds and hands
// out only requests that can be asked for.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{"1 a 10\n2 b 20\n", "1,a,10\n", logged, "{", "\x1f\x8b", " ,\n",
		combined, "\x28\xb5\x2f\xfd", `{"ts":1,"request":{"method":"GET","host":"h","uri":"/"},"size":1,"status":200}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		limits := Limits{LineBytes: 256, Lines: 50}
		r, err := NewReader(bytes.NewReader(in), limits)
		if err != nil {
			return
		}
		for {
			req, err := r.Next()
			if err != nil {
				return
			}
			if req.ID == "" || req.Size < 0 || r.Line() > limits.Lines {
				t.Fatalf("line %d gave %+v", r.Line(), req)
			}
			// An escape in a log's JSON can triple its bytes, no more.
			if len(req.ID) > 3*limits.LineBytes {
				t.Fatalf("id of %d bytes from a line of at most %d", len(req.ID), limits.LineBytes)
			}
		}
	})
}
