package policy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"
)

// vectors say of texts whether they are a structured field of a kind (RFC 9651, 3
// and 4.2): a malformed one is no field, and whoever reads it goes on without.
var vectors = []struct {
	kind  string // dictionary, list or item
	text  string
	valid bool
}{
	// 3.2: dictionaries; 4.2.2.
	{"dictionary", `a=1`, true}, {"dictionary", `a=1,b=2`, true}, {"dictionary", `a=1 , b=2`, true}, {"dictionary", "a=1\t,\tb=2", true},
	{"dictionary", `  a=1  `, true}, {"dictionary", ``, true}, {"dictionary", `a`, true}, {"dictionary", `a;x=1, b`, true},
	{"dictionary", `a=?0`, true}, {"dictionary", `a=(1 2)`, true}, {"dictionary", `a=()`, true}, {"dictionary", `a=1,a=2`, true},
	{"dictionary", `*a=1`, true}, {"dictionary", `a_-.*=1`, true},
	{"dictionary", `A=1`, false}, {"dictionary", `1a=1`, false}, {"dictionary", `a=`, false}, {"dictionary", `a=1,`, false},
	{"dictionary", `,a=1`, false}, {"dictionary", `a=1,,b=2`, false}, {"dictionary", `a=1 b=2`, false}, {"dictionary", `a = 1`, false},
	{"dictionary", `a= 1`, false}, {"dictionary", `=1`, false}, {"dictionary", "a=1\n", false}, {"dictionary", `a=1;`, false},
	// 3.1: lists and inner lists; 4.2.1.
	{"list", `"a", "b"`, true}, {"list", `1, 42`, true}, {"list", `sugar, tea`, true}, {"list", `("a" "b"), ()`, true},
	{"list", `("a";x);y=1`, true}, {"list", ``, true}, {"list", `( 1  2 )`, true},
	{"list", `"a",`, false}, {"list", `"a" "b"`, false}, {"list", `("a""b")`, false}, {"list", `("a"`, false}, {"list", `"a"),`, false},
	{"list", `("a", "b")`, false}, {"list", `(1`, false}, {"list", `((1))`, false},
	// 3.3.1 and 3.3.2: numbers; at most 15 digits, or 12 before a point and 3 behind.
	{"item", `0`, true}, {"item", `-0`, true}, {"item", `00`, true}, {"item", `999999999999999`, true}, {"item", `-999999999999999`, true},
	{"item", `1.5`, true}, {"item", `123456789012.123`, true}, {"item", `01.5`, true},
	{"item", `1000000000000000`, false}, {"item", `1.`, false}, {"item", `.5`, false}, {"item", `1.2345`, false}, {"item", `1234567890123.1`, false},
	{"item", `-`, false}, {"item", `--1`, false}, {"item", `+1`, false}, {"item", `1e3`, false}, {"item", `0x1`, false}, {"item", `1 2`, false},
	// 3.3.3: strings.
	{"item", `"a b"`, true}, {"item", `""`, true}, {"item", `"a \"b\" \\ c"`, true},
	{"item", `"a`, false}, {"item", `"a\n"`, false}, {"item", `"\'"`, false}, {"item", "\"a\tb\"", false}, {"item", "\"\x7f\"", false},
	{"item", `"ü"`, false}, {"item", `'a'`, false}, {"item", `"a"b`, false}, {"item", `"a\`, false},
	// 3.3.4: tokens.
	{"item", `a`, true}, {"item", `*a`, true}, {"item", `a/b:c`, true}, {"item", `A1!#$%&'*+-.^_|~`, true}, {"item", "a`b", true},
	{"item", `a(`, false}, {"item", `{a}`, false}, {"item", `a b`, false},
	// 3.3.5 and 3.3.6: bytes and booleans.
	{"item", `:aGVsbG8=:`, true}, {"item", `::`, true}, {"item", `?1`, true}, {"item", `?0`, true},
	{"item", `:aGVsbG8=`, false}, {"item", `:a b:`, false}, {"item", `?2`, false}, {"item", `?`, false}, {"item", `?true`, false}, {"item", `true?`, false},
	// 3.1.2: parameters.
	{"item", `1;a;b=2`, true}, {"item", `1; a`, true}, {"item", `1;a=1;a=2`, true},
	{"item", `1 ;a`, false}, {"item", `1;A`, false}, {"item", `1;a=`, false}, {"item", `1;`, false}, {"item", `1;a=(1)`, false},
}

// TestStructuredFieldVectors: the library reads what RFC 9651 allows, and no more.
func TestStructuredFieldVectors(t *testing.T) {
	for _, v := range vectors {
		var err error
		switch v.kind {
		case "dictionary":
			_, err = httpsfv.UnmarshalDictionary([]string{v.text})
		case "list":
			_, err = httpsfv.UnmarshalList([]string{v.text})
		case "item":
			_, err = httpsfv.UnmarshalItem([]string{v.text})
		}
		if (err == nil) != v.valid {
			t.Errorf("%s %q: error %v, valid %v", v.kind, v.text, err, v.valid)
		}
	}
}

// TestMalformedFieldsAreNoFields: whatever is not a structured field changes
// nothing for any reader of ours; what is one, but of other names or types, no
// more.
func TestMalformedFieldsAreNoFields(t *testing.T) {
	for _, v := range vectors {
		if v.valid || v.text == "" {
			continue
		}
		in := v.text
		if v.kind == "item" {
			in = "max-age=" + v.text
		}
		if d, ok := TargetedDirectives([]string{in}); ok {
			t.Errorf("CDN-Cache-Control %q is read as %+v", in, d)
		}
		if v.kind == "dictionary" && ReadSearchRule([]string{"params, " + v.text}) != nil {
			t.Errorf("No-Vary-Search with %q is a rule", v.text)
		}
		if v.kind == "item" && !strings.Contains(v.text, ",") && ReadSearchRule([]string{"params=(" + v.text + ")"}) != nil {
			t.Errorf("No-Vary-Search with the name %q is a rule", v.text)
		}
		if v.kind != "dictionary" {
			if groups, over := InvalidatedGroups(http.Header{"Cache-Group-Invalidation": {v.text}}); len(groups) > 0 || over {
				t.Errorf("Cache-Group-Invalidation %q names %q", v.text, groups)
			}
		}
	}
}
