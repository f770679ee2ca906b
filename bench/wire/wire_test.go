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

// TestWire measures edge alone, too shortly for the figures to mean anything.
func TestWire(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("it measures on Linux alone")
	}
	cases, wants := "cold-20,coldpass-20,idle", []string{"asked", "memory each", "stack each"}
	if _, err := exec.LookPath("wrk"); err == nil {
		cases += ",h1-1k,tls-1k,miss-1k,pass-1k"
		wants = append(wants, "p99", "over TLS", "stored", "1000 urls in turn")
	}
	if _, err := exec.LookPath("h2load"); err == nil {
		cases += ",h2-1k"
		wants = append(wants, "HTTP/2 over TLS")
	}
	file := filepath.Join(t.TempDir(), "result.txt")
	var out, bad bytes.Buffer
	code := run(context.Background(), []string{"-servers", "edge", "-cases", cases, "-rounds", "1", "-span", "1s",
		"-idle", "50", "-pin=false", "-dir", t.TempDir(), "-disk", t.TempDir(), "-out", file}, &out, &bad)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, bad.String(), out.String())
	}
	kept, err := os.ReadFile(file)
	if err != nil || !bytes.HasSuffix(kept, out.Bytes()) || !strings.Contains(string(kept), "cores") {
		t.Errorf("the result was not kept as it was printed, with its machine: %v", err)
	}
	for _, want := range wants {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the result lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "LOST") {
		t.Errorf("the log lacks lines:\n%s", out.String())
	}
	collapsed := regexp.MustCompile(`(?s)cold-20:.*?asked\s+1\.00 / 1\.00 / 1\.00`)
	if !collapsed.MatchString(out.String()) {
		t.Errorf("20 clients of one object that may be stored do not share one request:\n%s", out.String())
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-cases", "h1-1k,nothing"}, {"-servers", "apache"}, {"-servers", "edge,edge"}, {"-rounds", "0"},
		{"-span", "1500ms"}, {"-idle", "0"}, {"more"},
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
