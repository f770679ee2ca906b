package casetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"edgecache/edge/edgetest"
)

// TestCutBodyLeavesNothingOnDisk: a body that goes to disk as it comes, and
// breaks off, is broken for its reader and leaves nothing.
func TestCutBodyLeavesNothingOnDisk(t *testing.T) {
	s := shelve(t, edgetest.Config{})
	body := noise(1, largeBody)
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n", fresh, largeBody)
	s.origin.On("/x", edgetest.Script(edgetest.Bytes(head+body[:2<<20]), edgetest.Cut()), edgetest.Text(200, body, fresh))
	if r := s.Get("/x"); r.Err == nil || r.Body != body[:len(r.Body)] {
		t.Errorf("%d bytes with error %v, want a broken end", len(r.Body), r.Err)
	}
	s.miss(body, "/x")
	s.reshelve()
	s.fromDisk(body, "/x")
	s.checkDisk(1)
}

// TestKillDuringABody: what a killed program has written of a body that it did
// not come to commit is gone after the next start.
func TestKillDuringABody(t *testing.T) {
	const size = 40 << 20
	o := edgetest.NewOrigin(t)
	body := noise(1, size)
	reached, never := make(chan struct{}), make(chan struct{})
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n", fresh, size)
	o.On("/x", edgetest.Script(edgetest.Bytes(head+body[:size/2]), edgetest.Tell(reached), edgetest.Gate(never)), edgetest.Text(200, body, fresh))
	disk := t.TempDir()
	p := launch(t, disk, o.URL)
	cut := make(chan edgetest.Reply, 1)
	go func() { cut <- p.get("/x") }()
	edgetest.Receive(t, "half of the body", reached)
	p.disk("half of the body to be on its way to disk", func(d diskState) bool { return d.File > size/4 })
	p.kill()
	if r := edgetest.Receive(t, "the end of the answer", cut); r.Err == nil || r.Body != body[:len(r.Body)] {
		t.Errorf("%d bytes with error %v, want a broken end", len(r.Body), r.Err)
	}
	p = launch(t, disk, o.URL)
	if got := p.check(); got.Objects != 0 || got.Broken != 0 || got.Orphans != 0 {
		t.Errorf("after kill and start the disk has %+v, want nothing", got)
	}
	for range 2 {
		if r := p.get("/x"); r.Body != body {
			t.Errorf("after kill and start: %s", show(r))
		}
	}
	if got := p.check(); got.Objects != 1 || got.Bytes != size || got.Broken != 0 || got.Orphans != 0 {
		t.Errorf("then the disk has %+v, want the object", got)
	}
	if n := o.Asked("/x"); n != 2 {
		t.Errorf("the origin was asked %d times, want twice", n)
	}
}

// checked is what POST /v1/disk/check answers.
type checked struct{ Objects, Bytes, Broken, Orphans int64 }

// check has the program read back its disk.
func (p *process) check() (found checked) {
	p.t.Helper()
	q, err := http.NewRequest("POST", "http://"+p.admin+"/v1/disk/check", nil)
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
	if err := json.NewDecoder(res.Body).Decode(&found); err != nil || res.StatusCode != 200 {
		p.t.Fatalf("check: %d, %v", res.StatusCode, err)
	}
	return found
}
