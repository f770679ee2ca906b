package main

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgecache/cachestore"
)

func TestPlacesFollowTheEnvironment(t *testing.T) {
	for _, tt := range []struct{ name, state, cache, home, wantState, wantDisk string }{
		{"XDG", "/s", "/c", "/h", "/s/edge", "/c/edge/80"},
		{"a home", "", "", "/h", "/h/.local/state/edge", "/h/.cache/edge/80"},
		{"no home", "", "", "", "/var/lib/edge", ""},
		{"relative paths are ignored", "s", "c", "h", "/var/lib/edge", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", tt.state)
			t.Setenv("XDG_CACHE_HOME", tt.cache)
			t.Setenv("HOME", tt.home)
			disk, ok := defaultDisk("80")
			if stateDir() != tt.wantState || disk != tt.wantDisk || ok != (tt.wantDisk != "") {
				t.Errorf("state %s, disk %q (%t); want %s, %q", stateDir(), disk, ok, tt.wantState, tt.wantDisk)
			}
		})
	}
}

func TestFindPlace(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("XDG_CACHE_HOME", "")
	state := filepath.Join(home, ".local", "state", "edge", "80")
	open := func(dir string) place {
		t.Helper()
		p, err := findPlace(diskSettings{dir: dir}, "80")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.close() })
		return p
	}
	if p := open("off"); p.dir != state || p.disk || p.why != "" {
		t.Errorf("off: %+v, want %s without a word", p, state)
	}
	if p := open(""); p.dir != filepath.Join(home, ".cache", "edge", "80") || !p.disk {
		t.Errorf("the default: %+v", p)
	}
	if p := open(""); p.dir != state || p.disk || !strings.Contains(p.why, "another edge holds it") {
		t.Errorf("a second on the default: %+v", p)
	}
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := open(filepath.Join(file, "disk")); p.dir != state || p.disk || !strings.Contains(p.why, "not a directory") {
		t.Errorf("a chosen directory that cannot be made: %+v, want %s with a warning", p, state)
	}
	t.Setenv("XDG_CACHE_HOME", file)
	if p := open(""); p.dir != state || p.why == "" {
		t.Errorf("a default that cannot be made: %+v, want a warning", p)
	}
}

func TestSeedIsKept(t *testing.T) {
	p := place{dir: t.TempDir()}
	first, err := p.seed()
	if err != nil {
		t.Fatal(err)
	}
	second, err := p.seed()
	if err != nil || first != second || first == 0 {
		t.Errorf("%x then %x (%v)", first, second, err)
	}
	path := filepath.Join(p.dir, "seed")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
	}
	if other, _ := (place{dir: t.TempDir()}).seed(); other == first {
		t.Error("two installations have the same seed")
	}
	if err := os.WriteFile(path, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.seed(); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a broken seed: %v", err)
	}
}

func TestTokens(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("EDGE_TOKEN", "")
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flag, setting := write("flag", "of-the-flag\n"), write("setting", "of-the-setting")
	for _, tt := range []struct{ name, flag, variable, setting, want string }{
		{"the flag goes first", flag, "of-the-variable", setting, "of-the-flag"},
		{"then the variable", "", "of-the-variable", setting, "of-the-variable"},
		{"then the setting", "", "", setting, "of-the-setting"},
		{"none", "", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("EDGE_TOKEN", tt.variable)
			if got, err := configuredToken(tt.flag, tt.setting); got != tt.want || err != nil {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
	for name, text := range map[string]string{"empty": " \n", "blank": "a b", "two-lines": "a\nb", "not-ascii": "ä", "control": "a\x01"} {
		if _, err := configuredToken(write(name, text), ""); err == nil || strings.Contains(err.Error(), text) && text != " \n" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMadeToken(t *testing.T) {
	state := filepath.Join(t.TempDir(), "edge")
	first, path, err := madeToken(state, "9145")
	if err != nil || len(first) < 32 {
		t.Fatalf("%q, %v", first, err)
	}
	again, _, err := madeToken(state, "9145")
	if err != nil || again != first {
		t.Errorf("the next start has %q, %v; want the same", again, err)
	}
	if other, _, _ := madeToken(state, "9146"); other == first {
		t.Error("two ports have the same token")
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if third, _, _ := madeToken(state, "9145"); third == first {
		t.Error("a token that others could read is used again")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v), want 0600", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(state, "*.*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAdminURL(t *testing.T) {
	for _, tt := range []struct{ flag, listen, want string }{
		{"", "127.0.0.1:9145", "http://127.0.0.1:9145"},
		{"", ":9145", "http://127.0.0.1:9145"},
		{"", "[::]:9145", "http://127.0.0.1:9145"},
		{"host:1", "", "http://host:1"},
		{"https://host:1/", "", "https://host:1"},
		{"http://host/x", "", ""},
		{"ftp://host", "", ""},
		{"http://", "", ""},
	} {
		got, err := adminURL(tt.flag, tt.listen)
		var usage *usageError
		if got != tt.want || (tt.want == "") != errors.As(err, &usage) {
			t.Errorf("%q with %q: %q, %v; want %q", tt.flag, tt.listen, got, err, tt.want)
		}
	}
}

func TestMemoryOfMachineAndGroups(t *testing.T) {
	if n := machineMemory(strings.NewReader("MemFree: 1 kB\nMemTotal:  2048 kB\n")); n != 2<<20 {
		t.Errorf("machine has %d, want 2 MiB", n)
	}
	if n := machineMemory(strings.NewReader("nonsense")); n != math.MaxInt64 {
		t.Errorf("a machine that says nothing has %d", n)
	}
	root := t.TempDir()
	for name, text := range map[string]string{
		"a/memory.max": "1000\n", "a/b/memory.max": "max\n", "memory/c/memory.limit_in_bytes": "500\n", "d/memory.max": "nonsense",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]int64{
		"0::/a/b\n": 1000, "0::/a/b/gone\n": 1000, "5:memory:/c\n": 500, "5:cpu:/c\n0::/a\n": 1000, "0::/d\n": math.MaxInt64,
		"": math.MaxInt64, "0::/../../a\n": 1000,
	} {
		if n := cgroupMemory(strings.NewReader(text), root); n != want {
			t.Errorf("%q: %d, want %d", text, n, want)
		}
	}
}

// TestGreeting wants four lines that a person can use as they stand.
func TestGreeting(t *testing.T) {
	listener := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	store, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	t.Setenv("EDGE_TOKEN", "")
	r := &running{settings: defaultSettings(), plain: []net.Listener{listener()}, adminListener: listener(), in: &installation{store: store}}
	r.settings.admin.tokenFile = "my token"
	r.settings.log.access = "/var/log/a.log"
	var b strings.Builder
	r.greet(&b)
	listen, admin := r.plain[0].Addr().String(), r.adminListener.Addr().String()
	want := "edge serves on   http://" + listen + " (memory 64MiB, no disk)\n" +
		"admin API on     http://" + admin + "\n" +
		"purge a url with edge purge url http://" + listen + "/ --admin http://" + admin + " --token-file 'my token'\n" +
		"access log       to /var/log/a.log\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
	r.secure = []net.Listener{listener()}
	r.quic.listen(r.secure, slog.New(slog.DiscardHandler))
	defer r.quic.close()
	b.Reset()
	r.greet(&b)
	secure := "edge serves on   http://" + listen + ", https://" + r.secure[0].Addr().String() + " with HTTP/3 (memory"
	if !strings.HasPrefix(b.String(), secure) {
		t.Errorf("with TLS: got\n%swant\n%s", b.String(), secure)
	}
}
