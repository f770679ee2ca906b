package modeltest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A fence is a line of the code, and the code with it taken out.
type fence struct{ name, file, with, without string }

// fences are what keeps a fetch that a purge overtook from being served: the
// number that an object carries is read before its request goes up, and a
// finished fill is looked at once more.
var fences = []fence{
	{"a stored object carries the number at its fetch's beginning", "receive.go", "PurgeSeq: fl.seq, SharedAuth", "PurgeSeq: e.index.Now(), SharedAuth"},
	{"a finished fill is looked at once more", "receive.go", "case e.index.Covers(fl.storedUnder(), v.Tags, fl.seq).Strength != purge.None:", "case fl.seq == 0 && purge.None != 0:"},
	{"a follower is older than no purge", "miss.go", "case e.index.Covers(fl.key, o.variant.Tags, fl.seq).Strength != purge.None:", "case fl.seq == 0 && purge.None != 0:"},
	{"a lookup asks for purges", "lookup.go", "if now <= checked {", "if now <= checked || f.index != nil {"},
}

// TestModelNeedsTheFences: with the fences taken out, the model finds answers
// that a purge forbids. Each alone may be backed by another; the look-up's has
// no other behind it.
func TestModelNeedsTheFences(t *testing.T) {
	if os.Getenv("EDGE_MODEL_MUTANT") != "" {
		t.Skip("this is the mutant")
	}
	for _, c := range []struct {
		name string
		out  []int
	}{
		{"all that fetches have", []int{0, 1, 2}},
		{"the look-up's", []int{3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out []fence
			for _, i := range c.out {
				out = append(out, fences[i])
			}
			mustNotice(t, out, "^TestModel$", 40_000, tooOld)
		})
	}
}

// tooOld and wrongBody are what the model says then.
const (
	tooOld    = "is purged, the floor is"
	wrongBody = "the body is wrong"
)

// mustNotice runs a test over the code without some fences; it must fail, and
// say why.
func mustNotice(t *testing.T, out []fence, test string, operations int, why string) {
	t.Helper()
	cmd := exec.Command("go", "test", "-count=1", "-overlay", overlay(t, out), "-run", test, ".", "-operations", strconv.Itoa(operations))
	cmd.Env = append(os.Environ(), "EDGE_MODEL_MUTANT=1")
	said, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the model did not notice:\n%s", said)
	}
	if !strings.Contains(string(said), why) {
		t.Fatalf("it failed for another reason: %v\n%.3000s", err, said)
	}
}

// overlay writes the files without some fences, for go build -overlay.
func overlay(t *testing.T, out []fence) string {
	dir := t.TempDir()
	sources, replaced := map[string]string{}, map[string]string{}
	for _, f := range out {
		path, err := filepath.Abs(filepath.Join("..", f.file))
		if err != nil {
			t.Fatal(err)
		}
		if sources[path] == "" {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sources[path] = string(text)
		}
		if strings.Count(sources[path], f.with) != 1 {
			t.Fatalf("%s: %q stands %d times in %s, want once", f.name, f.with, strings.Count(sources[path], f.with), f.file)
		}
		sources[path] = strings.Replace(sources[path], f.with, f.without, 1)
		replaced[path] = filepath.Join(dir, filepath.Base(f.file))
	}
	for path, text := range sources {
		if err := os.WriteFile(replaced[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
