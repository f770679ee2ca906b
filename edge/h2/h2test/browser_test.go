package h2test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgecache/edge/edgetest"
)

const (
	browserDir  = "../../../conformance/browser"
	browserTime = 5 * time.Minute
	objects     = 200
)

// page loads every object at once and keeps what it got in window.texts.
const page = `<!doctype html><title>objects</title><script>
window.texts = {}
Promise.all(Array.from({ length: %d }, async (_, i) => {
	const a = await fetch('/object/' + i)
	window.texts[i] = a.status + ' ' + await a.text()
})).then(() => { window.finished = true }, (e) => { window.texts.error = String(e); window.finished = true })
</script>`

// object is what the origin says under a number; every tenth is larger than a window.
func object(i int) string {
	text := fmt.Sprintf("object %d;", i)
	if i%10 == 0 {
		return strings.Repeat(text, 20_000)
	}
	return strings.Repeat(text, 50)
}

// A browser gets a page of 200 objects, first from the origin and then from the store, all over
// HTTP/2 and each with its own content.
func TestChromium(t *testing.T) {
	chromium := installed(t, "chromium", "chromium")
	if out, err := exec.Command("sh", browserDir+"/install.sh").CombinedOutput(); err != nil {
		t.Skipf("playwright-core cannot be installed, so no browser is tried: %v\n%s", err, out)
	}
	r := open(t, edgetest.Config{}, wireOptions{}, false)
	r.origin.On("/page", edgetest.Text(200, fmt.Sprintf(page, objects), "Cache-Control: no-store", "Content-Type: text/html"))
	for i := range objects {
		r.origin.On("/object/"+strconv.Itoa(i), edgetest.Text(200, object(i), fresh, "Content-Type: text/plain"))
	}
	for _, what := range []string{"from the origin", "from the store"} {
		t.Run(what, func(t *testing.T) { loadPage(t, r, chromium) })
	}
	for i := range objects {
		if n := r.origin.Asked("/object/" + strconv.Itoa(i)); n != 1 {
			t.Errorf("the origin was asked %d times for object %d, want once", n, i)
		}
	}
}

func loadPage(t *testing.T, r *room, chromium string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), browserTime)
	defer cancel()
	_, port, _ := net.SplitHostPort(r.Addr)
	c := exec.CommandContext(ctx, "node", "load.mjs", "https://localhost:"+port+"/page", chromium)
	c.Dir = browserDir
	var failure strings.Builder
	c.Stderr = &failure
	out, err := c.Output()
	if err != nil {
		t.Fatalf("load.mjs: %v\n%s", err, failure.String())
	}
	var got struct {
		Page      []string
		Resources []struct {
			Path, Protocol string
			Bytes          int
		}
		Texts map[string]string
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("load.mjs: %v\n%.300s", err, out)
	}
	if len(got.Page) != 1 || got.Page[0] != "h2" {
		t.Errorf("the page came by %q", got.Page)
	}
	seen := 0
	for _, res := range got.Resources {
		if !strings.HasPrefix(res.Path, "/object/") {
			continue
		}
		seen++
		if res.Protocol != "h2" {
			t.Errorf("%s came by %q, want h2", res.Path, res.Protocol)
		}
	}
	if seen != objects {
		t.Errorf("%d objects came, want %d", seen, objects)
	}
	for i := range objects {
		if text := got.Texts[strconv.Itoa(i)]; text != "200 "+object(i) {
			t.Errorf("object %d: %d bytes %.40q", i, len(text), text)
		}
	}
	if e := got.Texts["error"]; e != "" {
		t.Error(e)
	}
}
