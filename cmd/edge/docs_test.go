package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocumentedPurges: each purge that README shows passes the check of the
// command line, so what is missing is only the edge that takes it.
func TestDocumentedPurges(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("EDGE_TOKEN", "")
	shown := 0
	for line := range strings.Lines(string(text)) {
		command, found := strings.CutPrefix(line, "    edge purge ")
		if !found {
			continue
		}
		shown++
		command, _, _ = strings.Cut(command, " # ")
		args := append([]string{"purge", "--admin", "127.0.0.1:1"}, strings.Fields(command)...)
		var out, bad bytes.Buffer
		if code := run(t.Context(), args, &out, &bad); code != exitFailed || !strings.Contains(bad.String(), "no admin token") {
			t.Errorf("edge purge %s: %d, %s", strings.TrimSpace(command), code, bad.String())
		}
	}
	if shown < 4 {
		t.Errorf("README shows %d purges, want one of each kind", shown)
	}
}

// TestDocumentedConfigurations: each configuration that the documents show is
// one that edge takes.
func TestDocumentedConfigurations(t *testing.T) {
	for _, file := range []string{"../../README.md", "../../docs/reference.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(text), "```yaml\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s shows no configuration", file)
		}
		for _, block := range blocks {
			block, _, _ = strings.Cut(block, "```")
			config := filepath.Join(t.TempDir(), "edge.yaml")
			if err := os.WriteFile(config, []byte(block), 0o600); err != nil {
				t.Fatal(err)
			}
			var out, bad bytes.Buffer
			if code := run(t.Context(), []string{"check", "--config", config}, &out, &bad); code != 0 {
				t.Errorf("%s: check says %d: %s%s", file, code, out.String(), bad.String())
			}
		}
	}
}
