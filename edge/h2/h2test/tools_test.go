package h2test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgecache/edge/edgetest"
)

// command is a program that a test is about; without it there is nothing to test.
func command(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%v: this client is not tried", err)
	}
	return path
}

// aptTime bounds one run of apt-get.
const aptTime = 5 * time.Minute

// installed is command for what a package of Debian has: as root it is installed when it is
// missing. Only where that cannot be is the test skipped, and says what to do.
func installed(t *testing.T, name, pkg string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	hint := "no " + name + ": as root on Debian, apt-get install " + pkg
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 || testing.Short() {
		t.Skip(hint)
	}
	for _, args := range [][]string{{"update", "-qq"}, {"install", "-y", "-qq", "--no-install-recommends", pkg}} {
		ctx, cancel := context.WithTimeout(t.Context(), aptTime)
		c := exec.CommandContext(ctx, "apt-get", args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		out, err := c.CombinedOutput()
		cancel()
		if err != nil {
			t.Skipf("%s\nhere apt-get %s: %v\n%s", hint, args[0], err, out)
		}
	}
	return command(t, name)
}

func TestCurl(t *testing.T) {
	curl := command(t, "curl")
	version, err := exec.Command(curl, "--version").Output()
	if err != nil || !strings.Contains(string(version), "HTTP2") {
		t.Skipf("this curl was built without HTTP/2: %.60s", version)
	}
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		r.origin.On("/big", edgetest.Text(200, bigBody, fresh))
		r.origin.On("/up", edgetest.Text(201, "made"))
		file := filepath.Join(t.TempDir(), "out")
		run := func(args ...string) string {
			t.Helper()
			how := "--http2"
			if r.clear {
				how = "--http2-prior-knowledge"
			}
			args = append([]string{"-sS", "-k", how, "-o", file, "-w", "%{http_version} %{http_code} %{size_download}"}, args...)
			out, err := exec.Command(curl, args...).CombinedOutput()
			if err != nil {
				t.Errorf("curl %q: %v", args, err)
			}
			return string(out)
		}
		for range 2 {
			if got, want := run(r.url("/big")), "2 200 "+strconv.Itoa(len(bigBody)); got != want {
				t.Errorf("GET: %s, want %s", got, want)
			}
		}
		if got, want := run("-r", "10-19", r.url("/big")), "2 206 10"; got != want {
			t.Errorf("a range: %s, want %s", got, want)
		}
		if got, want := run("--data-binary", "@"+file, "-H", "Expect:", r.url("/up")), "2 201 4"; got != want {
			t.Errorf("POST: %s, want %s", got, want)
		}
		if got := run("-I", r.url("/big")); !strings.HasPrefix(got, "2 200 ") {
			t.Errorf("HEAD: %s", got)
		}
		if n := r.origin.Asked("/big"); n != 1 {
			t.Errorf("the origin was asked %d times for what is stored", n)
		}
	})
}

var succeeded = regexp.MustCompile(`(\d+) succeeded, (\d+) failed, (\d+) errored`)

// h2load's requests are all answered, whatever it brings at once.
func TestH2Load(t *testing.T) {
	h2load := installed(t, "h2load", "nghttp2-client")
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		r.origin.On("/small", edgetest.Text(200, strings.Repeat("s", 1<<10), fresh))
		r.origin.On("/large", edgetest.Text(200, bigBody[:1<<20], fresh))
		for _, q := range []struct{ path, n, clients, streams string }{
			{"/small", "20000", "8", "32"},
			{"/large", "300", "4", "8"},
		} {
			out, err := exec.Command(h2load, "-n", q.n, "-c", q.clients, "-m", q.streams, r.url(q.path)).CombinedOutput()
			m := succeeded.FindStringSubmatch(string(out))
			if err != nil || m == nil || m[1] != q.n || m[2] != "0" || m[3] != "0" {
				t.Errorf("%s: %v, %q, want %s succeeded\n%s", q.path, err, m, q.n, out)
			}
		}
	})
}
