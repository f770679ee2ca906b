package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// smoke measures too shortly for the figures to mean anything.
func smoke(t *testing.T, args ...string) (said string) {
	if runtime.GOOS != "linux" {
		t.Skip("it measures on Linux alone")
	}
	file := filepath.Join(t.TempDir(), "result.txt")
	var out, bad bytes.Buffer
	code := run(t.Context(), append([]string{"-rounds", "1", "-seconds", "1", "-idle", "50", "-pin=false",
		"-dir", t.TempDir(), "-disk", t.TempDir(), "-out", file}, args...), &out, &bad)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, bad.String(), out.String())
	}
	kept, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(kept, out.Bytes()) || !strings.Contains(string(kept), "cores") {
		t.Errorf("the result was not kept as it was printed, with its machine: %v", err)
	}
	if strings.Contains(out.String(), "LOST") {
		t.Errorf("the log lacks lines:\n%s", out.String())
	}
	return out.String()
}

func wants(t *testing.T, said string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(said) {
			t.Errorf("the result lacks %q:\n%s", p, said)
		}
	}
}

// TestEdgeAlone needs no tool.
func TestEdgeAlone(t *testing.T) {
	said := smoke(t, "-servers", "edge", "-cases", "cold-20,coldpass-20,idle")
	wants(t, said, `(?s)cold-20: .*?asked +1\.00 = 1\.00 / 1\.00 / 1\.00 times`, // they share one request
		`(?s)coldpass-20: .*?asked +20\.0 = `, `memory +\S+ = .* bytes each`, `stack `, `idle +without +\d`)
}

// TestAllServers measures two cases with everybody.
func TestAllServers(t *testing.T) {
	for _, tool := range []string{"nginx", "varnishd", "varnishncsa", "wrk"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s", tool)
		}
	}
	said := smoke(t, "-cases", "tls-1k,miss-1k")
	wants(t, said, `tls-1k +cpu +[\d.]+ +[\d.]+ +not spoken +[\d.]+ +- +≤ 0.9 `, `tls-1k +p99 +[\d.]+ +[\d.]+ +not spoken`,
		`miss-1k +cpu( +[\d.]+){5} +≤ 1 `, `miss-1k +p50( +[\d.]+){5}`, `varnish +log lines +\d+ of \d+ requests answered\n`)
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-cases", "h1-1k,nothing"}, {"-servers", "apache"}, {"-servers", "edge,edge"}, {"-rounds", "0"},
		{"-seconds", "0"}, {"-idle", "0"}, {"more"},
	} {
		var out, bad bytes.Buffer
		if code := run(context.Background(), args, &out, &bad); code != 2 || bad.Len() == 0 {
			t.Errorf("%q: exit code %d, said %q; want 2 and a reason", args, code, bad.String())
		}
	}
}

func TestScriptNamesPaths(t *testing.T) {
	for _, c := range []struct {
		paths
		want string
	}{
		{paths{prefix: "/kept/1/a-"}, "n = n + 1"},
		{paths{prefix: "/kept/1/a-", many: 1000}, "n = (n + 1) % 1000"},
		{paths{prefix: "/kept/1/a-", many: 4096, random: true}, "math.random(0, 4095)"},
	} {
		name, err := c.write(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), c.want) || !strings.Contains(string(text), c.prefix) {
			t.Errorf("%+v: script %q, %v", c.paths, text, err)
		}
	}
}
