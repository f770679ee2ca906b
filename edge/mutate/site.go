package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"strings"
)

// site is one call that can be taken out.
type site struct {
	path     string // of the file
	text     []byte // of the file
	from, to int    // the call, as offsets in text
	line     int
	function string // that the call is in
	callee   string // its last name: RequestFilter, mark …
	phase    string // of a mark: RequestFilter …
	call     string // as it stands in the source
	receiver string
	args     []string
}

func (s site) String() string {
	return fmt.Sprintf("%s:%d %s: %s", filepath.Base(s.path), s.line, s.function, s.call)
}

// findSites lists the calls of a package's files that cuts has a cut for, in
// the order of the files.
func findSites(dir string) ([]site, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var all []site
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found, err := sitesOf(path, text)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no call that could be taken out", dir)
	}
	return all, nil
}

// sitesOf lists the calls of one file.
func sitesOf(path string, text []byte) ([]site, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []site
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if s, ok := siteOf(fset, call, f.Name.Name); ok {
					s.path, s.text = path, text
					found = append(found, s)
				}
			}
			return true
		})
	}
	return found, nil
}

// siteOf looks at one call.
func siteOf(fset *token.FileSet, call *ast.CallExpr, function string) (site, bool) {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return site{}, false
	}
	at := fset.Position(call.Pos())
	s := site{
		from: at.Offset, to: fset.Position(call.End()).Offset, line: at.Line, function: function,
		callee: selector.Sel.Name, receiver: source(fset, selector.X), call: source(fset, call),
	}
	for _, a := range call.Args {
		s.args = append(s.args, source(fset, a))
	}
	if s.callee == "mark" && len(s.args) == 1 {
		s.phase, ok = strings.CutPrefix(s.args[0], "Phase")
		return s, ok
	}
	_, ok = s.cut()
	return s, ok
}

// source is an expression as gofmt would write it.
func source(fset *token.FileSet, n ast.Expr) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, fset, n); err != nil {
		return ""
	}
	return b.String()
}

// without is the file with something in the call's place that does nothing,
// but uses what the call used, so that it compiles.
func (s site) without() ([]byte, error) {
	c, ok := s.cut()
	if !ok {
		return nil, fmt.Errorf("nothing is known to put in its place")
	}
	var uses strings.Builder
	for _, used := range append([]string{s.receiver}, s.args...) {
		fmt.Fprintf(&uses, "_ = %s; ", used)
	}
	instead := strings.NewReplacer("USES", uses.String(), "RECEIVER", s.receiver, "ARGS", strings.Join(s.args, ", ")).Replace(c.instead)
	return bytes.Join([][]byte{s.text[:s.from], []byte(instead), s.text[s.to:]}, nil), nil
}
