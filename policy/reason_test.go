package policy

import (
	"strings"
	"testing"
)

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
