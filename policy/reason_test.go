package policy

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reasons.md anew")

func TestEveryReasonHasAUniqueName(t *testing.T) {
	seen := map[string]Reason{}
	for r := Reason(0); int(r) < Reasons; r++ {
		name := r.String()
		if name == "" || name == "unknown" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("reason %d is called %q", r, name)
		}
		first, double := seen[name]
		if double && !(first == BypassHook && r == Hook) {
			t.Errorf("reasons %d and %d are both called %q", first, r, name)
		}
		seen[name] = r
	}
	if got := Reason(Reasons).String(); got != "unknown" {
		t.Errorf("a reason beyond the last is called %q", got)
	}
}

func TestEveryReasonIsExplained(t *testing.T) {
	reference, err := os.ReadFile("../docs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	for r := Reason(0); int(r) < Reasons; r++ {
		e := r.Explain()
		section, ours := strings.CutPrefix(e.Rule, "reference, ")
		switch {
		case ours && !strings.Contains(string(reference), "\n## "+section+"\n"):
			t.Errorf("%v: reference.md has no section %q", r, section)
		case !ours && !strings.HasPrefix(e.Rule, "RFC ") && e.Rule != "-":
			t.Errorf("%v: the rule is %q", r, e.Rule)
		case e.Name != r.String():
			t.Errorf("%v is explained as %+v", r, e)
		}
		for what, text := range map[string]string{"what happened": e.What, "what to do": e.Do} {
			if !strings.HasSuffix(text, ".") || strings.ContainsAny(text, "|\n") {
				t.Errorf("%v: %s is %q; want a sentence that fits a table", r, what, text)
			}
		}
		if len(e.Groups.Names()) == 0 && r != None && r != Stored {
			t.Errorf("%v is in no group", r)
		}
	}
	if got := Reason(Reasons).Explain(); got.Name != "unknown" || got.What != "" {
		t.Errorf("a reason beyond the last is %+v", got)
	}
}

// TestReasonsAreDocumented: docs/reasons.md says what the table says.
func TestReasonsAreDocumented(t *testing.T) {
	const file = "../docs/reasons.md"
	want := reasonsPage()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the table makes it (%v); go test ./policy -run Documented -update writes it", file, err)
	}
}

// reasonsPage is docs/reasons.md.
func reasonsPage() string {
	var b strings.Builder
	b.WriteString(`# Reasons

Each decision has one reason. It stands beside the cache value in the access log (reason, and
unstored where an answer was not stored), in edge_request_reasons_total, edge_unstored_total and
edge_errors_total, in ` + "`edge top`, `edge log`" + ` and explain, and, with ` + "`cache_status: {detail: true}`" + `,
in Cache-Status. ` + "`edge reasons NAME`" + ` prints one. "reference" is reference.md.

Made from policy/reasontable.go by ` + "`go test ./policy -run Documented -update`" + `.
`)
	intro := map[string]string{
		"hit": "The store answered.", "miss": "The origin was asked, or another request's fetch was waited for.",
		"stale": "The store answered with what is not fresh any more.", "bypass": "The store was not asked.",
		"not stored": "The answer was not kept.", "error": "The answer is ours, or broke off.",
	}
	for i, group := range groupNames {
		fmt.Fprintf(&b, "\n## %s%s\n\n%s\n\n| reason | what happened | what to do | rule |\n|---|---|---|---|\n",
			strings.ToUpper(group[:1]), group[1:], intro[group])
		for r := Reason(0); int(r) < Reasons; r++ {
			if e := r.Explain(); e.Groups&(1<<i) != 0 {
				fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.Name, e.What, e.Do, e.Rule)
			}
		}
	}
	return b.String()
}
