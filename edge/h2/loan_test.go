package h2_test

import (
	"net"
	"runtime"
	"testing"
)

// TestIdleConnectionsHoldLittle: the buffers of a busy connection are given back when it
// idles. What is measured is what hitters hold beyond what they did before they asked for
// much: the client's side and TLS, which is not spoken here, are not in it.
func TestIdleConnectionsHoldLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector holds more")
	}
	w := newHitter(t, 32<<10)
	const many = 200
	all := make([]*hitter, many)
	in := make([]byte, 64<<10) // theirs, one after the other
	for i := range all {
		conn, err := net.Dial("tcp", w.conn.RemoteAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		all[i] = &hitter{conn: conn, next: 1, in: in}
		all[i].greet(t)
	}
	before := heapInUse()
	for _, one := range all {
		one.ask(t, 1)
		one.block = one.again
		for range 3 {
			one.ask(t, 32)
		}
	}
	if each := (heapInUse() - before) / many; each > 24<<10 {
		t.Errorf("a connection that was busy holds %d bytes more, want at most 24 KiB", each)
	}
}

// heapInUse is what is left after the pools have been emptied, too.
func heapInUse() int {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
