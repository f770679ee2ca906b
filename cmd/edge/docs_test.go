package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
