package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// value is one node of a YAML document with the key that leads to it. Its
// methods read what the node must be; what it is not is noted as a fault, and
// reading goes on, so that everything wrong in a file is told in one go.
type value struct {
	node   ast.Node
	key    string
	faults *faults
}

// parseDocument reads the one document of a file; a nil node is an empty one.
func parseDocument(file string, text []byte) (value, *faults) {
	all := &faults{file: file}
	v := value{faults: all}
	if len(text) > maxConfigBytes {
		all.list = append(all.list, fault{what: "is larger than " + formatSize(maxConfigBytes)})
		return v, all
	}
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		all.list = append(all.list, syntaxFault(err))
		return v, all
	}
	if len(parsed.Docs) > 1 {
		all.list = append(all.list, fault{what: "holds more than one document; give one"})
		return v, all
	}
	if len(parsed.Docs) == 1 {
		v.node = parsed.Docs[0].Body
	}
	return v, all
}

func syntaxFault(err error) fault {
	var syntax *yaml.SyntaxError
	if !errors.As(err, &syntax) || syntax.Token == nil || syntax.Token.Position == nil {
		return fault{what: err.Error()}
	}
	at := syntax.Token.Position
	return fault{line: at.Line, column: at.Column, what: syntax.Message}
}

// wrong notes a fault at the value.
func (v value) wrong(format string, args ...any) {
	f := fault{key: v.key, what: fmt.Sprintf(format, args...)}
	if v.node != nil && v.node.GetToken() != nil && v.node.GetToken().Position != nil {
		at := v.node.GetToken().Position
		f.line, f.column = at.Line, at.Column
	}
	v.faults.list = append(v.faults.list, f)
}

// want notes that the value is something else than it must be.
func (v value) want(what string) {
	switch n := v.node.(type) {
	case *ast.AliasNode:
		v.wrong("anchors and aliases are not taken; put a text that begins with * into quotes")
	case *ast.AnchorNode, *ast.TagNode, *ast.MergeKeyNode:
		v.wrong("anchors, tags and merge keys are not taken; %s", what)
	case *ast.NullNode, nil:
		v.wrong("is empty; %s", what)
	case ast.ScalarNode:
		v.wrong("%s is not right; %s", strconv.Quote(shorten(n.GetToken().Value)), what)
	case *ast.MappingNode, *ast.MappingValueNode:
		v.wrong("is a mapping (a text with : in it goes into quotes); %s", what)
	case *ast.SequenceNode:
		v.wrong("is a list; %s", what)
	default:
		v.wrong("%s", what)
	}
}

func shorten(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}

// child is the value under a name, or at a place of a list.
func (v value) child(name string, node ast.Node) value {
	key := name
	if v.key != "" && !strings.HasPrefix(name, "[") {
		key = v.key + "." + name
	} else if v.key != "" {
		key = v.key + name
	}
	return value{node, key, v.faults}
}

// entries gives the pairs of a mapping, nil when it is none.
func (v value) entries() []*ast.MappingValueNode {
	switch n := v.node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	v.want("give a mapping")
	return nil
}

// keys reads a mapping whose keys are known; each function reads its value.
func (v value) keys(known map[string]func(value)) {
	for _, entry := range v.entries() {
		name := entry.Key.GetToken().Value
		if read, ok := known[name]; ok {
			read(v.child(name, entry.Value))
			continue
		}
		at := v.child(name, entry.Key)
		names := slices.Sorted(maps.Keys(known))
		if near := nearest(name, names); near != "" {
			at.wrong("unknown key; did you mean %s?", near)
		} else {
			at.wrong("unknown key; known here: %s", strings.Join(names, ", "))
		}
	}
}

// each reads a mapping whose keys are the operator's own.
func (v value) each(read func(name string, entry value)) {
	for _, entry := range v.entries() {
		name := entry.Key.GetToken().Value
		read(name, v.child(name, entry.Value))
	}
}

// list reads a list.
func (v value) list(read func(item value)) {
	n, ok := v.node.(*ast.SequenceNode)
	if !ok {
		v.want("give a list, like [a, b]")
		return
	}
	for i, item := range n.Values {
		read(v.child("["+strconv.Itoa(i)+"]", item))
	}
}

// scalar gives the text of a plain value as it was written.
func (v value) scalar(what string) (text string, ok bool) {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	v.want(what)
	return "", false
}

// text reads a text that is not empty and fits on one line.
func (v value) text() string {
	s, ok := v.scalar("give a text")
	if ok && s == "" {
		v.want("give a text that is not empty")
	}
	if strings.ContainsAny(s, "\r\n\x00") {
		v.want("give a text of one line")
		return ""
	}
	return s
}

// texts reads a list of texts.
func (v value) texts() []string {
	var all []string
	v.list(func(item value) { all = append(all, item.text()) })
	return all
}

// choice reads one of a few words.
func (v value) choice(words ...string) string {
	what := "give " + strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
	s, ok := v.scalar(what)
	if ok && !slices.Contains(words, s) {
		v.want(what)
	}
	return s
}

// flag reads true or false.
func (v value) flag() bool {
	n, ok := v.node.(*ast.BoolNode)
	if !ok {
		v.want("give true or false")
		return false
	}
	return n.Value
}

// whole reads a whole number within bounds.
func (v value) whole(least, most int) int {
	what := fmt.Sprintf("give a whole number from %d to %d", least, most)
	s, ok := v.scalar(what)
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		v.want(what)
	}
	return n
}

// bounded reads with parse what must lie within bounds.
func bounded[T cmp.Ordered](v value, parse func(string) (T, error), what string, least, most T) T {
	var zero T
	s, ok := v.scalar(what)
	if !ok {
		return zero
	}
	n, err := parse(s)
	switch {
	case err != nil:
		v.want(err.Error())
		return zero
	case n < least:
		v.want(fmt.Sprintf("give at least %s", written(least)))
	case n > most:
		v.want(fmt.Sprintf("give at most %s", written(most)))
	}
	return n
}

func written(v any) string {
	if n, ok := v.(int64); ok {
		return formatSize(n)
	}
	return fmt.Sprint(v)
}

// size reads a number of bytes within bounds.
func (v value) size(least, most int64) int64 {
	return bounded(v, parseSize, errSize.Error(), least, most)
}

// span reads a span of time of at least so much.
func (v value) span(least time.Duration) time.Duration {
	return bounded(v, parseSpan, errSpan.Error(), least, maxSpan)
}

// rate reads bytes a second.
func (v value) rate() int64 {
	return bounded(v, parseRate, errRate.Error(), 1, 1<<40)
}
