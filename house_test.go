// Package edgecache_test holds the rules of the house over every file of the module.
// The tables are here, the rules and their own tests in house_rules_test.go.
package edgecache_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module          = "edgecache"
	maxFileLines    = 400
	maxFuncLines    = 100
	maxArchitecture = 150
)

// rooms says what of ours each room imports, tests excepted. A directory belongs to
// the longest entry that is its prefix; what is in none has no place in the house.
// A room may always import what is inside itself. The wires and admin see policy too: an
// edge.Request is made of policy.Fields, and a Reason is policy's word.
var rooms = map[string][]string{
	".":              {},
	"policy":         {},
	"cachestore":     {"policy"},
	"purge":          {"policy", "cachestore"},
	"edge/origin":    {},
	"edge":           {"policy", "cachestore", "purge", "edge/origin"},
	"edge/edgetest":  {"policy", "cachestore", "purge", "edge/origin", "edge"},
	"edge/syntax":    {},
	"edge/certs":     {},
	"edge/acme":      {},
	"edge/h1":        {"policy", "cachestore", "edge", "edge/syntax"},
	"edge/h2":        {"policy", "cachestore", "edge", "edge/syntax"},
	"edge/h3":        {"policy", "cachestore", "edge", "edge/syntax"},
	"edge/mutate":    {},
	"edge/admin":     {"policy", "cachestore", "purge", "edge"},
	"bench/policies": {},
	"bench":          {"bench/policies", "policy", "cachestore", "purge", "edge/origin", "edge", "edge/edgetest", "edge/h1", "edge/h2", "edge/h3", "edge/admin"},
	"cmd/edge":       {"policy", "cachestore", "purge", "edge/origin", "edge", "edge/certs", "edge/acme", "edge/h1", "edge/h2", "edge/h3", "edge/admin", "bench", "bench/policies"},
	"conformance":    {},
}

// testOnly stands for a door that only _test files have.
const testOnly = "*_test.go"

// doors says in which files a library comes in, by patterns of path.Match over the whole
// path; DIR/** is all below DIR. A _test file may import what a file of its directory may.
// A library that is not here comes in nowhere.
var doors = map[string][]string{
	"github.com/dgraph-io/ristretto":    {"cachestore/memory*.go"},
	"go.etcd.io/bbolt":                  {"cachestore/disk*.go", "purge/*.go"},
	"github.com/pquerna/cachecontrol":   {"policy/*.go"},
	"github.com/dunglas/httpsfv":        {"policy/*.go", testOnly},
	"github.com/zeebo/xxh3":             {"policy/*.go", "cachestore/*.go", "purge/*.go", "edge/origin/*.go"},
	"github.com/valyala/bytebufferpool": {"cachestore/*.go", "edge/**"},
	"golang.org/x/net/http2/hpack":      {"edge/h2/*.go", "edge/h2/h2test/*_test.go"},
	"golang.org/x/net/http2":            {"edge/h2/*_test.go", "edge/h2/h2test/*_test.go"},
	"golang.org/x/net/html":             {"bench/report/*_test.go"},
	"golang.org/x/sys":                  {"cachestore/*.go", "edge/**", "cmd/edge/*.go"},
	"golang.org/x/term":                 {"cmd/edge/*.go", "bench/**"},
	"github.com/quic-go/quic-go":        {"edge/h3/*.go"},
	"github.com/caddyserver/certmagic":  {"edge/acme/*.go"},
	"go.uber.org/zap":                   {"edge/acme/*.go"},
	"github.com/nats-io":                {"purge/cluster*.go"},
	"github.com/prometheus":             {"edge/metrics*.go", "edge/admin/*.go"},
	"github.com/alecthomas/kong":        {"cmd/edge/*.go"},
	"github.com/goccy/go-yaml":          {"cmd/edge/*.go"},
	"github.com/schollz/progressbar":    {"bench/**"},
	"github.com/klauspost/compress":     {"bench/**"},
	"gonum.org/v1/plot":                 {"bench/**"},
	"pgregory.net/rapid":                {testOnly},
	"go.uber.org/goleak":                {testOnly},
	"github.com/rogpeppe/go-internal":   {testOnly},
}

// source is one Go file of the house.
type source struct {
	path  string // from the root, with slashes
	lines int
	fset  *token.FileSet
	file  *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }
func (s source) dir() string  { return path.Dir(s.path) }

func (s source) imports() []string {
	var all []string
	for _, spec := range s.file.Imports {
		all = append(all, strings.Trim(spec.Path.Value, `"`))
	}
	return all
}

func parse(name string, text []byte) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{name, strings.Count(string(text), "\n"), fset, file}, err
}

// rules are what holds for every file by itself; each returns its complaints.
var rules = map[string]func(source) []string{
	"imports go one way":                importsGoDown,
	"a library comes in by its door":    librariesUseDoors,
	"files and functions are short":     isShort,
	"packages say what they know":       packageHasName,
	"exported names have a doc comment": exportedAreDocumented,
}

func TestHouse(t *testing.T) {
	house := allSources(t)
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, s := range house {
				for _, complaint := range rule(s) {
					t.Errorf("%s: %s", s.path, complaint)
				}
			}
		})
	}
	t.Run("packages have a comment", func(t *testing.T) {
		for _, dir := range undocumentedPackages(house) {
			t.Errorf("%s: no file has a package comment", dir)
		}
	})
}

// allSources parses every Go file of this module.
func allSources(t *testing.T) []source {
	t.Helper()
	var house []source
	root := os.DirFS(".")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(root, name)
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		s, err := parse(name, text)
		house = append(house, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(house, func(s source) bool { return s.path == "house_test.go" }) {
		t.Fatal("the walk over the house did not come past house_test.go")
	}
	return house
}

// enter says fs.SkipDir for what is not of this module.
func enter(root fs.FS, name string) error {
	base := path.Base(name)
	_, err := fs.Stat(root, path.Join(name, "go.mod"))
	moduleOfItsOwn := name != "." && err == nil
	hidden := name != "." && strings.HasPrefix(base, ".")
	if moduleOfItsOwn || hidden || base == "testdata" || base == "node_modules" || name == "bench/work" {
		return fs.SkipDir
	}
	return nil
}

// Pages and the README have rules of their own. What is not written yet is not checked.
func TestHousePages(t *testing.T) {
	if text, ok := page(t, "docs/architecture.md"); ok {
		if lines := strings.Count(text, "\n"); lines > maxArchitecture {
			t.Errorf("docs/architecture.md has %d lines, at most %d", lines, maxArchitecture)
		}
	}
	makefile, hasMakefile := page(t, "Makefile")
	readme, hasReadme := page(t, "README.md")
	if !hasMakefile || !hasReadme {
		return
	}
	want := []string{"demo", "test"}
	if got := namedTargets(readme, makefile); !slices.Equal(got, want) {
		t.Errorf("README.md names make %q, want exactly %q", got, want)
	}
}

// page returns a file of the house, and whether it is there.
func page(t *testing.T, name string) (string, bool) {
	t.Helper()
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text), true
}

var (
	target  = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	command = regexp.MustCompile(`\bmake ([a-z][a-z-]*)`)
)

// namedTargets returns, sorted and once each, the makefile's targets that the text
// tells its reader to make.
func namedTargets(text, makefile string) []string {
	var known, named []string
	for _, m := range target.FindAllStringSubmatch(makefile, -1) {
		known = append(known, m[1])
	}
	for _, m := range command.FindAllStringSubmatch(text, -1) {
		if slices.Contains(known, m[1]) {
			named = append(named, m[1])
		}
	}
	slices.Sort(named)
	return slices.Compact(named)
}
