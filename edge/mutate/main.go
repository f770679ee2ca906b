// Command mutate shows that the tests of the seed's checklist are about what
// they say. It takes the calls of hooks, and those that write down what
// happened, out of package edge one at a time, and runs the tests that are
// about the call against what is left: each of them must fail.
//
//	go run ./edge/mutate [-only TEXT]
//
// The result goes to stdout, a line a call; the exit code is 1 when a test did
// not notice. The sources are not touched: the compiler gets the changed file
// by go build's overlay.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	only := flag.String("only", "", "only calls whose line contains this")
	flag.Parse()
	if err := run(*only, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// patience is what a test waits for something that will not come.
const patience = "EDGETEST_PATIENCE=2s"

// runTime bounds one test's run.
const runTime = "60s"

func run(only string, out io.Writer) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	w := workshop{root: root, dir: work}
	sites, err := findSites(filepath.Join(root, "edge"))
	if err != nil {
		return err
	}
	if err := w.untouched(); err != nil {
		return err
	}
	began, survived, judged := time.Now(), 0, 0
	for _, s := range sites {
		if !strings.Contains(s.String(), only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%v %s\n", time.Since(began).Round(time.Second), s)
		v, err := w.judge(s)
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		judged++
		if len(v.missed) > 0 || len(v.failed) == 0 {
			survived++
		}
		fmt.Fprintln(out, v)
	}
	fmt.Fprintf(out, "%d calls taken out, %d noticed by every test that is about them, %d not\n", judged, judged-survived, survived)
	if survived > 0 {
		return errors.New("some tests do not notice what they are about")
	}
	return nil
}

// workshop builds and runs the tests of the checklist.
type workshop struct{ root, dir string }

// untouched proves that the tests pass while nothing is taken out.
func (w workshop) untouched() error {
	binary, err := w.build("")
	if err != nil {
		return err
	}
	if failed, text := w.fails(binary, "."); failed {
		return fmt.Errorf("tests fail with nothing taken out:\n%s", text)
	}
	return nil
}

// verdict is what became of one call's tests.
type verdict struct {
	site           site
	failed, missed []string
}

func (v verdict) String() string {
	switch {
	case len(v.missed) > 0 && len(v.failed) > 0:
		return fmt.Sprintf("SURVIVED  %-78s noticed by %s, not by %s", v.site, strings.Join(v.failed, " "), strings.Join(v.missed, " "))
	case len(v.failed) == 0:
		return fmt.Sprintf("SURVIVED  %-78s not noticed by %s", v.site, strings.Join(v.missed, " "))
	}
	return fmt.Sprintf("killed    %-78s by %s", v.site, strings.Join(v.failed, " "))
}

// judge takes a call out and runs the tests that are about it.
func (w workshop) judge(s site) (verdict, error) {
	v := verdict{site: s}
	text, err := s.without()
	if err != nil {
		return v, err
	}
	overlay, err := w.overlay(s.path, text)
	if err != nil {
		return v, err
	}
	binary, err := w.build(overlay)
	if err != nil {
		return v, err
	}
	for _, id := range s.tests() {
		if failed, _ := w.fails(binary, "^(Test|Fuzz)"+id+"_"); failed {
			v.failed = append(v.failed, id)
		} else {
			v.missed = append(v.missed, id)
		}
	}
	return v, nil
}

// overlay writes a changed file and the list that puts it in the place of the
// one at path.
func (w workshop) overlay(path string, text []byte) (string, error) {
	changed, list := filepath.Join(w.dir, filepath.Base(path)), filepath.Join(w.dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		return "", err
	}
	return list, errors.Join(os.WriteFile(changed, text, 0o600), os.WriteFile(list, replace, 0o600))
}

// build compiles the tests. That it does not compile is an error of ours,
// never a call that was noticed.
func (w workshop) build(overlay string) (binary string, err error) {
	binary = filepath.Join(w.dir, "seed.test")
	args := []string{"test", "-c", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	c := exec.Command("go", append(args, "./edge/seedtest")...)
	c.Dir = w.root
	if text, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, text)
	}
	return binary, nil
}

// fails runs the tests that match and says whether one of them failed. That no
// test matches is not a failure, and so it is found out.
func (w workshop) fails(binary, pattern string) (failed bool, text []byte) {
	c := exec.Command(binary, "-test.short", "-test.failfast", "-test.timeout", runTime, "-test.run", pattern)
	c.Dir = filepath.Join(w.root, "edge", "seedtest")
	c.Env = append(os.Environ(), patience)
	text, err := c.CombinedOutput()
	return err != nil, text
}

// moduleRoot is where go.mod is.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := string(bytes.TrimSpace(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("not inside a module")
	}
	return filepath.Dir(mod), nil
}
