package rivals

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNginxConf renders all that differs, and has nginx read it where there is one.
func TestNginxConf(t *testing.T) {
	dir := t.TempDir()
	n := Nginx{
		Listen: "127.0.0.1:18080", TLS: "127.0.0.1:18443", Origin: "127.0.0.1:18000",
		Dir: dir, Cache: filepath.Join(dir, "cache"), Log: filepath.Join(dir, "access.log"),
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
		Root: os.Geteuid() == 0, Workers: 1, Connections: 512, Files: 1024, MaxMiB: 64,
	}
	text, err := n.Conf()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"listen 127.0.0.1:18080 ", "listen 127.0.0.1:18443 ssl http2", "server 127.0.0.1:18000;", "worker_processes 1;",
		"access_log " + n.Log + " combined buffer=", "max_size=64m", "sendfile on;", "open_file_cache max=", "gzip off;",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("nginx.conf does not say %q", want)
		}
	}
	if got := strings.Contains(string(text), "user root;"); got != n.Root {
		t.Errorf("user root is %v, want %v", got, n.Root)
	}
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("no nginx to read it")
	}
	// Without TLS, whose certificate nginx would want to see.
	var plain []string
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, "ssl") {
			plain = append(plain, line)
		}
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(strings.Join(plain, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(n.Cache, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(nginx, "-t", "-c", conf, "-p", dir).CombinedOutput(); err != nil {
		t.Errorf("nginx does not take it: %v\n%s", err, out)
	}
}

func TestVCL(t *testing.T) {
	text, err := VCL("127.0.0.1:18000")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"vcl 4.1;", `.host = "127.0.0.1";`, `.port = "18000";`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the VCL does not say %q", want)
		}
	}
	if _, err := VCL("no address"); err == nil {
		t.Error("an origin without a port is taken")
	}
}
