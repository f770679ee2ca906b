package casetest

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"edgecache/edge/edgetest"
	"edgecache/policy"
	"edgecache/purge"
)

var _ = register(map[string]func(*testing.T){
	"purge-variants": purgeVariants,
	"path-disk":      pathDisk,
})

// built is the program, made once for the tests that run it.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func program(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "casetest"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "edge")
		var out []byte
		if out, built.err = exec.Command("go", "build", "-o", built.path, "edgecache/cmd/edge").CombinedOutput(); built.err != nil {
			built.err = &exec.Error{Name: string(out), Err: built.err}
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

const adminToken = "a-token-of-more-than-sixteen"

// process is the program while it runs.
type process struct {
	t           *testing.T
	command     *exec.Cmd
	addr, admin string
	read        chan struct{} // its standard error has ended
}

// launch starts the program and waits until it serves.
func launch(t *testing.T, disk, origin string) *process {
	t.Helper()
	p := &process{t: t, read: make(chan struct{})}
	p.command = exec.Command(program(t), "serve", "--origin", origin, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--disk", disk, "--memory", "64MiB", "--access-log", "off")
	p.command.Env = append(os.Environ(), "EDGE_TOKEN="+adminToken, "XDG_STATE_HOME="+t.TempDir())
	p.command.Dir = t.TempDir()
	said, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	serving := make(chan bool, 1)
	go p.listen(said, serving)
	if !edgetest.Receive(t, "the program to serve", serving) {
		t.Fatal("the program ended before it served")
	}
	return p
}

// listen reads what the program says, and waits for the line with its
// addresses.
func (p *process) listen(said io.Reader, serving chan<- bool) {
	defer close(p.read)
	defer func() { serving <- false }() // nobody reads it when it served
	for lines := bufio.NewScanner(said); lines.Scan(); {
		var line struct {
			Msg    string `json:"msg"`
			Listen any    `json:"listen"`
			Admin  string `json:"admin"`
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Msg != "serving" {
			p.t.Log(lines.Text())
			continue
		}
		p.admin = line.Admin
		if list, ok := line.Listen.([]any); ok && len(list) == 1 {
			p.addr, _ = list[0].(string)
		} else {
			p.addr, _ = line.Listen.(string)
		}
		serving <- true
		_, _ = io.Copy(io.Discard, said)
		return
	}
}

// kill ends the program as a power cut would.
func (p *process) kill() {
	if p.command.ProcessState != nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.read
	_ = p.command.Wait()
}

func (p *process) get(target string, lines ...string) edgetest.Reply {
	p.t.Helper()
	head := "GET " + target + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n"
	for _, l := range lines {
		head += l + "\r\n"
	}
	return askAt(p.t, p.addr, head+"\r\n")
}

// purgeCall asks the admin port for a purge and returns its id and number.
func (p *process) purgeCall(body string) (id string, seq uint64) {
	p.t.Helper()
	q, err := http.NewRequest("POST", "http://"+p.admin+"/v1/purge", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+adminToken)
	q.Close = true
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		ID      string `json:"id"`
		Seq     uint64 `json:"seq"`
		Applied bool   `json:"applied"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != 200 || !answer.Applied {
		p.t.Fatalf("purge %s: %d %+v %v", body, res.StatusCode, answer, err)
	}
	return answer.ID, answer.Seq
}

// disk asks the admin port how the disk tier is, until ok.
func (p *process) disk(what string, ok func(d diskState) bool) {
	p.t.Helper()
	edgetest.Wait(p.t, what, func() bool {
		q, err := http.NewRequest("GET", "http://"+p.admin+"/v1/disk", nil)
		if err != nil {
			p.t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+adminToken)
		q.Close = true
		res, err := http.DefaultClient.Do(q)
		if err != nil {
			p.t.Fatal(err)
		}
		defer res.Body.Close()
		var d diskState
		if err := json.NewDecoder(res.Body).Decode(&d); err != nil {
			p.t.Fatal(err)
		}
		return ok(d)
	})
}

// diskState is a part of what GET /v1/disk answers.
type diskState struct{ Objects, Queued, File int64 }

// purgeVariants: one purge of a url takes all variants, in memory and on disk,
// and holds though the program is killed as soon as it has answered.
func purgeVariants(t *testing.T) {
	o := edgetest.NewOrigin(t)
	o.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		return edgetest.Text(200, r.Header.Get("X-Kind"), fresh, "Vary: X-Kind")
	})
	disk := t.TempDir()
	kinds := []string{"X-Kind: a", "X-Kind: b", "X-Kind: c"}
	p := launch(t, disk, o.URL)
	for range 2 {
		for _, kind := range kinds {
			if got := p.get("/x", kind); got.Status != 200 || "X-Kind: "+got.Body != kind {
				t.Fatal(show(got))
			}
		}
	}
	if n := o.Asked("/x"); n != 3 {
		t.Fatalf("the origin was asked %d times for three variants", n)
	}
	p.disk("the variants to be on disk", func(d diskState) bool { return d.Objects == 3 && d.Queued == 0 })
	p.kill()
	p = launch(t, disk, o.URL)
	p.disk("the variants to be loaded", func(d diskState) bool { return d.Objects == 3 })
	for _, kind := range kinds[:2] { // the third stays on disk alone
		if got := p.get("/x", kind); !isHit(got) || "X-Kind: "+got.Body != kind {
			t.Errorf("%s after kill and start, without a purge: %s", kind, show(got))
		}
	}
	id, seq := p.purgeCall(`{"type": "uri", "selectors": ["http://a.test/x"], "purge": true}`)
	p.kill()
	checkPurgeLog(t, disk, id, seq)
	p = launch(t, disk, o.URL)
	before := o.Asked("/x")
	for _, kind := range kinds {
		if got := p.get("/x", kind); isHit(got) || got.Status != 200 {
			t.Errorf("%s after purge, kill and start: %s", kind, show(got))
		}
	}
	if n := o.Asked("/x"); n != before+3 {
		t.Errorf("after the start the origin was asked %d times for three variants", n-before)
	}
}

// checkPurgeLog opens the log that a killed program left: the purge is there,
// and covers what was fetched before it.
func checkPurgeLog(t *testing.T, disk, id string, seq uint64) {
	t.Helper()
	log, err := purge.Open(purge.Config{Path: filepath.Join(disk, "purge.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if log.Lost() {
		t.Errorf("the log was lost: %v", log.Trouble())
	}
	record, found := log.Get(id)
	if !found || record.Seq != seq {
		t.Errorf("purge %s, number %d: %+v, found %v", id, seq, record, found)
	}
	u, err := policy.ParseURL("http://a.test/x")
	if err != nil {
		t.Fatal(err)
	}
	k, _ := policy.NewKey(nil, 1, u, nil)
	if c := log.Index().Covers(k, nil, seq-1); c.Strength != purge.Hard {
		t.Errorf("what was fetched just before the purge is covered by %v", c.Strength)
	}
	if now := log.Index().Now(); now < seq {
		t.Errorf("the numbers begin again at %d, after %d", now, seq)
	}
}

// diskFiles are the names that the disk tier's directory has, and no others.
var diskFiles = []string{"lock", "purge.db", "seed", "shard-0.db"}

// pathDisk: no name that a client writes becomes the name of a file.
func pathDisk(t *testing.T) {
	o := edgetest.NewOrigin(t)
	o.On("*", edgetest.Text(200, "page", fresh, "Surrogate-Key: ../../escaped"))
	disk := filepath.Join(t.TempDir(), "disk")
	p := launch(t, disk, o.URL)
	files := func() (names []string) {
		for _, dir := range []string{filepath.Dir(disk), p.command.Dir} {
			if err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
				names = append(names, path)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		return names
	}
	before := files()
	stored := int64(0)
	for _, target := range []string{
		"/../../escaped", "/..%2f..%2fescaped", "/%2e%2e/%2e%2e/escaped", "/..%5c..%5cescaped", "/escaped%00.db",
		"//escaped", "/" + strings.Repeat("e", 4000), "/purge.db", "/seed", "/lock", "/?../../escaped", "/CON", "/a:b",
		"/shard-0.db", "/shard-0.db.bad", "/?\\..\\escaped", "/%01%7f%ff",
	} {
		switch got := p.get(target); got.Status {
		case 200:
			stored++
		case 400:
		default:
			t.Errorf("%s: %s", target, show(got))
		}
	}
	p.disk("what was fetched to be on disk", func(d diskState) bool { return d.Objects >= stored/2 && d.Queued == 0 })
	if after := files(); !slices.Equal(before, after) {
		t.Errorf("files before %v, after %v", before, after)
	}
	p.kill()
	p = launch(t, disk, o.URL)
	p.purgeCall(`{"type": "tag", "selectors": ["../../escaped"], "purge": true}`)
	list, err := os.ReadDir(disk)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range list {
		names = append(names, f.Name())
	}
	if !slices.Equal(names, diskFiles) {
		t.Errorf("the disk's directory has %v, want %v", names, diskFiles)
	}
}
