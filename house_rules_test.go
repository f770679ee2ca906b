package edgecache_test

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// roomOf returns the room of a directory, "" when it is in none.
func roomOf(dir string) string {
	for at := dir; ; at = path.Dir(at) {
		if _, ok := rooms[at]; ok && (at != "." || dir == ".") {
			return at
		}
		if at == "." {
			return ""
		}
	}
}

func importsGoDown(s source) []string {
	room := roomOf(s.dir())
	if room == "" {
		return []string{"is in no room that the table in house_test.go has"}
	}
	if s.isTest() {
		return nil
	}
	var bad []string
	for _, imported := range s.imports() {
		dir, ours := strings.CutPrefix(imported, module+"/")
		if !ours {
			continue
		}
		if to := roomOf(dir); to != room && !slices.Contains(rooms[room], to) {
			bad = append(bad, fmt.Sprintf("imports %s; %s may import %q only", imported, room, rooms[room]))
		}
	}
	return bad
}

func librariesUseDoors(s source) []string {
	var bad []string
	for _, imported := range s.imports() {
		first, _, _ := strings.Cut(imported, "/")
		if !strings.Contains(first, ".") {
			continue // the standard library or ours
		}
		library := libraryOf(imported)
		if library == "" {
			bad = append(bad, fmt.Sprintf("imports %s, which has no door in house_test.go", imported))
			continue
		}
		if !slices.ContainsFunc(doors[library], s.goesThrough) {
			bad = append(bad, fmt.Sprintf("imports %s; its door is %q", imported, doors[library]))
		}
	}
	return bad
}

// libraryOf returns the longest entry of doors that the import path is in.
func libraryOf(imported string) string {
	var best string
	for library := range doors {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && len(library) > len(best) {
			best = library
		}
	}
	return best
}

func (s source) goesThrough(door string) bool {
	if door == testOnly {
		return s.isTest()
	}
	if dir, deep := strings.CutSuffix(door, "/**"); deep {
		return s.dir() == dir || strings.HasPrefix(s.path, dir+"/")
	}
	matched, err := path.Match(door, s.path)
	return err == nil && matched || s.isTest() && s.dir() == path.Dir(door)
}

func isShort(s source) []string {
	if s.isTest() {
		return nil
	}
	var bad []string
	if s.lines > maxFileLines {
		bad = append(bad, fmt.Sprintf("has %d lines, at most %d", s.lines, maxFileLines))
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		f, ok := n.(*ast.FuncDecl)
		if !ok {
			return true
		}
		if lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; lines > maxFuncLines {
			bad = append(bad, fmt.Sprintf("%s has %d lines, at most %d", f.Name.Name, lines, maxFuncLines))
		}
		return true
	})
	return bad
}

var emptyName = regexp.MustCompile(`^(util|common|helper|type|manager|misc|base|lib)s?$`)

func packageHasName(s source) []string {
	if emptyName.MatchString(strings.TrimSuffix(s.file.Name.Name, "_test")) {
		return []string{fmt.Sprintf("package %s does not say what it knows", s.file.Name.Name)}
	}
	return nil
}

// wellKnown are the methods that say the same of every type that has them.
var wellKnown = map[string]bool{
	"Error": true, "Unwrap": true, "String": true, "Read": true, "Write": true, "ServeHTTP": true,
}

func exportedAreDocumented(s source) []string {
	if s.isTest() {
		return nil
	}
	var bad []string
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || ast.IsExported(receiver(d)) && !wellKnown[d.Name.Name] {
				bad = append(bad, undocumented(d.Name, d.Doc)...)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				bad = append(bad, undocumentedSpec(spec, d)...)
			}
		}
	}
	return bad
}

// undocumentedSpec looks at one type or value of a declaration. What stands alone is
// explained above it; values in brackets may be explained together or by a line each.
func undocumentedSpec(spec ast.Spec, d *ast.GenDecl) []string {
	alone := !d.Lparen.IsValid()
	switch v := spec.(type) {
	case *ast.TypeSpec:
		if alone {
			return undocumented(v.Name, d.Doc)
		}
		return undocumented(v.Name, v.Doc)
	case *ast.ValueSpec:
		if alone {
			return undocumented(v.Names[0], d.Doc)
		}
		if d.Doc == nil && v.Doc == nil && v.Comment == nil && slices.ContainsFunc(v.Names, (*ast.Ident).IsExported) {
			return []string{v.Names[0].Name + " has no comment, nor has its group"}
		}
	}
	return nil
}

// undocumented complains about an exported name whose comment does not begin with it.
// An article may stand before the name of a type, as in "A Life is".
func undocumented(name *ast.Ident, doc *ast.CommentGroup) []string {
	text := doc.Text()
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	first, found := strings.CutPrefix(text, name.Name)
	if !name.IsExported() || found && (first == "" || !partOfName.MatchString(first[:1])) {
		return nil
	}
	return []string{name.Name + " has no doc comment that begins with its name"}
}

var partOfName = regexp.MustCompile(`\w`)

// receiver returns the name of the type that a method is of.
func receiver(d *ast.FuncDecl) string {
	of := d.Recv.List[0].Type
	for {
		switch t := of.(type) {
		case *ast.StarExpr:
			of = t.X
		case *ast.IndexExpr:
			of = t.X
		case *ast.IndexListExpr:
			of = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// undocumentedPackages returns the directories in which no file says what the package is for.
func undocumentedPackages(house []source) []string {
	documented := make(map[string]bool)
	for _, s := range house {
		if !s.isTest() {
			documented[s.dir()] = documented[s.dir()] || s.file.Doc != nil
		}
	}
	var bad []string
	for dir, ok := range documented {
		if !ok {
			bad = append(bad, dir)
		}
	}
	slices.Sort(bad)
	return bad
}

// Every rule sees what it is for, and lets its good neighbour pass.
func TestHouseRulesCanFail(t *testing.T) {
	const head = "// Package p is.\npackage p\n"
	long := strings.Repeat("\n", maxFileLines)
	fill := strings.Repeat("\t_ = 0\n", maxFuncLines-2)

	for _, c := range []struct {
		name string
		rule func(source) []string
		path string
		text string
		want int
	}{
		{"down", importsGoDown, "cachestore/table.go", head + `import _ "edgecache/policy"`, 0},
		{"up", importsGoDown, "policy/key.go", head + `import _ "edgecache/cachestore"`, 1},
		{"sideways", importsGoDown, "edge/h1/conn.go", head + `import _ "edgecache/edge/h2"`, 1},
		{"inside one room", importsGoDown, "cachestore/storetest/run.go", head + `import _ "edgecache/cachestore"`, 0},
		{"cmd from anywhere", importsGoDown, "bench/ratio.go", head + `import _ "edgecache/cmd/edge"`, 1},
		{"a test may look up", importsGoDown, "edge/engine_test.go", head + `import _ "edgecache/edge/h1"`, 0},
		{"no such room", importsGoDown, "shed/shed.go", head, 1},

		{"by its door", librariesUseDoors, "cachestore/memory_class.go", head + `import _ "github.com/dgraph-io/ristretto/v2"`, 0},
		{"by another", librariesUseDoors, "cachestore/table.go", head + `import _ "github.com/dgraph-io/ristretto/v2"`, 1},
		{"a test in the door's room", librariesUseDoors, "cachestore/table_test.go", head + `import _ "github.com/dgraph-io/ristretto/v2"`, 0},
		{"a test in another room", librariesUseDoors, "edge/engine_test.go", head + `import _ "go.etcd.io/bbolt"`, 1},
		{"no door", librariesUseDoors, "policy/key.go", head + `import _ "github.com/nobody/nothing"`, 1},
		{"a longer name is another library", librariesUseDoors, "purge/log.go", head + `import _ "go.etcd.io/bboltish"`, 1},
		{"a sub-package by its own door", librariesUseDoors, "edge/h2/conn.go", head + `import _ "golang.org/x/net/http2/hpack"`, 0},
		{"deep below a door", librariesUseDoors, "bench/demo/bar.go", head + `import _ "github.com/schollz/progressbar/v3"`, 0},
		{"a test library in a test", librariesUseDoors, "edge/engine_test.go", head + `import _ "pgregory.net/rapid"`, 0},
		{"a test library elsewhere", librariesUseDoors, "edge/engine.go", head + `import _ "pgregory.net/rapid"`, 1},

		{"a file at the limit", isShort, "policy/a.go", "package p" + long, 0},
		{"a file over it", isShort, "policy/a.go", "package p\n" + long, 1},
		{"a long test", isShort, "policy/a_test.go", "package p\n" + long, 0},
		{"a function at the limit", isShort, "policy/a.go", head + "func f() {\n" + fill + "}\n", 0},
		{"a function over it", isShort, "policy/a.go", head + "func f() {\n\n" + fill + "}\n", 1},

		{"a name", packageHasName, "policy/a.go", "package policy", 0},
		{"no name", packageHasName, "policy/utils/a.go", "package utils", 1},
		{"no name for a test", packageHasName, "policy/helper/a_test.go", "package helper_test", 1},

		{"documented", exportedAreDocumented, "policy/a.go", head + "// F does.\nfunc F() {}\n// A T is.\ntype T int\n", 0},
		{"bare function", exportedAreDocumented, "policy/a.go", head + "func F() {}\n", 1},
		{"another name's comment", exportedAreDocumented, "policy/a.go", head + "// Foo does.\nfunc F() {}\n", 1},
		{"bare type in a group", exportedAreDocumented, "policy/a.go", head + "// These are types.\ntype (\n\tT int\n)\n", 1},
		{"bare method", exportedAreDocumented, "policy/a.go", head + "// T is.\ntype T[K any] int\nfunc (t *T[K]) M() {}\n", 1},
		{"method that all know", exportedAreDocumented, "policy/a.go", head + "// T is.\ntype T int\nfunc (T) String() string { return \"\" }\n", 0},
		{"method that nobody sees", exportedAreDocumented, "policy/a.go", head + "type t int\nfunc (t) M() {}\n", 0},
		{"bare values", exportedAreDocumented, "policy/a.go", head + "const (\n\tA = 1\n\tB = 2 // B is\n)\nvar V int\n", 2},
		{"values explained together", exportedAreDocumented, "policy/a.go", head + "// Letters.\nconst (\n\tA = 1\n\tB = 2\n)\n", 0},
	} {
		s, err := parse(c.path, []byte(c.text))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := c.rule(s); len(got) != c.want {
			t.Errorf("%s: %d complaints %q, want %d", c.name, len(got), got, c.want)
		}
	}
}

func TestHousePackageCommentCanFail(t *testing.T) {
	var house []source
	for name, text := range map[string]string{
		"a/one.go": "package a", "a/two.go": "// Package a is.\npackage a", "a/a_test.go": "package a",
		"b/one.go": "package b", "b/b_test.go": "// Package b is.\npackage b",
	} {
		s, err := parse(name, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		house = append(house, s)
	}
	if got, want := undocumentedPackages(house), []string{"b"}; !slices.Equal(got, want) {
		t.Errorf("without a comment: %q, want %q", got, want)
	}
}

func TestNamedTargets(t *testing.T) {
	const makefile = "help: ## list\ntest: vet\ndemo: ## show\nsoak:\n\tgo test\n"
	const readme = "make sure that `make demo` runs,\n\n    make test\n\nand make soak at night; make test again"
	if got, want := namedTargets(readme, makefile), []string{"demo", "soak", "test"}; !slices.Equal(got, want) {
		t.Errorf("named targets %q, want %q", got, want)
	}
}

// A room that is listed below itself would make the table a circle.
func TestHouseTableHasNoCircle(t *testing.T) {
	for room, below := range rooms {
		for _, lower := range below {
			if _, ok := rooms[lower]; !ok {
				t.Errorf("%s may import %s, which is no room", room, lower)
			}
			if slices.Contains(rooms[lower], room) {
				t.Errorf("%s and %s may import each other", room, lower)
			}
		}
	}
}
