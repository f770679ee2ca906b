package h2test

import (
	"bufio"
	"encoding/json"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"edgecache/edge/edgetest"
)

// hostile are the cases of testdata/h2.jsonl, each by its id.
var hostile = map[string]func(*testing.T){
	"h2-rapid-reset":    rapidReset,
	"h2-made-you-reset": madeYouReset,
	"h2-continuation":   continuation,
	"h2-settings":       controlFloods,
	"h2-empty":          emptyFloods,
	"h2-window":         closedWindows,
	"h2-hpack-bomb":     hpackBomb,
	"h2-downgrade-crlf": func(t *testing.T) { malformedRequests(t, "h2-downgrade-crlf") },
	"h2-te-cl":          func(t *testing.T) { malformedRequests(t, "h2-te-cl") },
	"h2-authority-host": func(t *testing.T) { malformedRequests(t, "h2-authority-host") },
	"h2-connection":     func(t *testing.T) { malformedRequests(t, "h2-connection") },
	"h2-cookie-crumbs":  cookieCrumbs,
	"h2spec":            nil, // TestH2Spec
}

func TestCases(t *testing.T) {
	f, err := os.Open("testdata/h2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	known := 0
	for lines := bufio.NewScanner(f); lines.Scan(); known++ {
		var c struct{ ID, Input string }
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		run, ok := hostile[c.ID]
		if !ok {
			t.Errorf("no test of %s: %s", c.ID, c.Input)
		}
		if run != nil {
			t.Run(c.ID, run)
		}
	}
	if known != len(hostile) {
		t.Errorf("%d cases in testdata, %d here", known, len(hostile))
	}
}

// flood is how often a client tries.
const flood = 100_000

// aFew is how many of a flood's streams may get anywhere: nothing in edge allows more.
const aFew = 5000

// slow makes the origin answer nothing under /slow/ until the test is over.
func (r *room) slow() {
	gate := make(chan struct{})
	r.t.Cleanup(func() { close(gate) })
	r.origin.OnFunc("*", func(s edgetest.Seen) edgetest.Answer {
		return edgetest.Script(edgetest.Gate(gate), edgetest.Whole(edgetest.Text(200, s.Target)))
	})
}

// repeat does something until the connection is over, at most a flood's number of times.
func (c *client) repeat(one func(i int) error) (times int) {
	for i := range flood {
		if c.isOver() || one(i) != nil {
			return i
		}
	}
	return flood
}

// calm demands that a connection ended for what its client did to it, and that others
// are served.
func (r *room) calm(c *client, codes ...http2.ErrCode) {
	r.t.Helper()
	c.endsWith(append(codes, http2.ErrCodeEnhanceYourCalm)...)
	if n := len(r.origin.Seen()); n > aFew {
		r.t.Errorf("the origin was asked %d times", n)
	}
	r.answers()
}

func rapidReset(t *testing.T) {
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		r.slow()
		r.origin.On("/hit", edgetest.Text(200, "a hit", fresh))
		other := r.dial()
		other.want("a hit", "/hit")
		stop, asked := make(chan struct{}), make(chan int)
		var once sync.Once
		defer once.Do(func() { close(stop) })
		go func() { // others are answered meanwhile
			for n := 0; ; n++ {
				select {
				case <-stop:
					asked <- n
					return
				default:
				}
				s, err := other.try(true, get("/hit"))
				if err == nil {
					err = other.wait(func() bool { return s.ended })
				}
				if err != nil {
					t.Errorf("another client's request %d: %v", n, err)
					asked <- n
					return
				}
			}
		}()
		c := r.dial()
		times := c.repeat(func(i int) error {
			s, err := c.try(true, get("/slow/"+strconv.Itoa(i)))
			if err != nil {
				return err
			}
			return c.send(func(f *http2.Framer) error { return f.WriteRSTStream(s.id, http2.ErrCodeCancel) })
		})
		once.Do(func() { close(stop) })
		t.Logf("%d resets until the end; %d requests of another client meanwhile; %d at the origin", times, <-asked, len(r.origin.Seen()))
		r.calm(c)
	})
}

// resets is the default of limits.h2_resets, and what a slow test gets back of it.
const resets = 1000 + 500

// madeYouReset does to a stream what makes the server reset it, again and again.
func madeYouReset(t *testing.T) {
	for name, provoke := range map[string]func(c *client, s *stream) error{
		"a window update of 0": func(c *client, s *stream) error {
			return c.send(func(f *http2.Framer) error { return f.WriteWindowUpdate(s.id, 0) })
		},
		"a window that overflows": func(c *client, s *stream) error {
			return c.send(func(f *http2.Framer) error { return f.WriteWindowUpdate(s.id, 1<<31-1) })
		},
		"a PRIORITY of the wrong length": func(c *client, s *stream) error {
			return c.send(func(f *http2.Framer) error { return f.WriteRawFrame(http2.FramePriority, 0, s.id, []byte("four")) })
		},
		"data behind the end": func(c *client, s *stream) error {
			return c.send(func(f *http2.Framer) error { return f.WriteData(s.id, true, []byte("x")) })
		},
		"a head behind the end": func(c *client, s *stream) error {
			c.writing.Lock()
			defer c.writing.Unlock()
			return c.headersLocked(s.id, true, c.encodeLocked(get("/slow/again")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := inClear(t)
			r.slow()
			c := r.dial()
			times := c.repeat(func(i int) error {
				s, err := c.try(true, get("/slow/"+strconv.Itoa(i)))
				if err != nil {
					return err
				}
				if err := provoke(c, s); err != nil {
					return err
				}
				return c.wait(func() bool { return s.reset })
			})
			if times > resets {
				t.Errorf("%d resets were provoked until the end, want at most %d", times, resets)
			}
			r.calm(c, http2.ErrCodeProtocol, http2.ErrCodeStreamClosed, http2.ErrCodeFlowControl, http2.ErrCodeFrameSize)
		})
	}
	t.Run("a body longer than it was said to be", func(t *testing.T) {
		r := inClear(t)
		r.slow()
		c := r.dial()
		c.repeat(func(i int) error {
			s, err := c.try(false, head("POST", "/slow/"+strconv.Itoa(i), "content-length: 1"))
			if err != nil {
				return err
			}
			return c.send(func(f *http2.Framer) error { return f.WriteData(s.id, false, []byte("xy")) })
		})
		r.calm(c, http2.ErrCodeProtocol)
	})
	t.Run("a malformed head", func(t *testing.T) {
		r := inClear(t)
		r.slow()
		c := r.dial()
		c.repeat(func(int) error {
			_, err := c.try(true, lines("Upper: case"))
			return err
		})
		r.calm(c, http2.ErrCodeProtocol)
	})
}

// continuation is a header block without an end, in parts of several sizes.
func continuation(t *testing.T) {
	for name, part := range map[string]string{"empty": "", "of a byte": "\x82", "large": strings.Repeat("\x82", 16<<10)} {
		t.Run(name, func(t *testing.T) {
			r := inClear(t)
			c := r.dial()
			before := heap()
			if err := c.send(func(f *http2.Framer) error {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("\x82")})
			}); err != nil {
				t.Fatal(err)
			}
			times := c.repeat(func(i int) error {
				return c.send(func(f *http2.Framer) error { return f.WriteContinuation(1, false, []byte(part)) })
			})
			c.endsWith(http2.ErrCodeEnhanceYourCalm, http2.ErrCodeCompression, http2.ErrCodeProtocol)
			if grown := heap() - before; grown > 1<<20 {
				t.Errorf("%d KiB more are held after %d frames", grown>>10, times)
			}
			// What the sockets hold is sent before the end is heard of.
			if sent := times * (len(part) + 9); sent > 32<<20 {
				t.Errorf("%d MiB were read without an end", sent>>20)
			}
			r.answers()
		})
	}
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// frameFlood sends one frame again and again, with a client that reads and one that does not.
func frameFlood(t *testing.T, before func(*client), one func(c *client, i int) error) {
	t.Helper()
	for _, reads := range []bool{true, false} {
		t.Run(map[bool]string{true: "reading", false: "deaf"}[reads], func(t *testing.T) {
			r := inClear(t)
			r.slow()
			c := r.dial(deaf)
			if reads {
				c.hear()
			}
			if before != nil {
				before(c)
			}
			used := heap()
			times := c.repeat(func(i int) error { return one(c, i) })
			c.hear()
			if _, told := c.over(); reads && !told {
				t.Error("no GOAWAY")
			}
			if grown := heap() - used; grown > 4<<20 {
				t.Errorf("%d KiB more are held after %d frames", grown>>10, times)
			}
			t.Logf("%d frames", times)
			r.answers()
		})
	}
}

func controlFloods(t *testing.T) {
	for name, one := range map[string]func(c *client, i int) error{
		"SETTINGS": func(c *client, i int) error {
			return c.send(func(f *http2.Framer) error { return f.WriteSettings() })
		},
		"SETTINGS of the window": func(c *client, i int) error {
			return c.send(func(f *http2.Framer) error {
				return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(i % 2)})
			})
		},
		"PING": func(c *client, i int) error {
			return c.send(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) })
		},
		"WINDOW_UPDATE of the connection": func(c *client, i int) error {
			return c.send(func(f *http2.Framer) error { return f.WriteWindowUpdate(0, 1) })
		},
		"PRIORITY": func(c *client, i int) error {
			return c.send(func(f *http2.Framer) error {
				return f.WritePriority(uint32(2*i+1), http2.PriorityParam{Weight: 1})
			})
		},
		"PRIORITY_UPDATE": func(c *client, i int) error { // RFC 9218, 7.1
			return c.send(func(f *http2.Framer) error {
				return f.WriteRawFrame(0x10, 0, 0, []byte{0, 0, byte(i >> 8), byte(i) | 1, 'u', '=', '1'})
			})
		},
		"frames of no known type": func(c *client, i int) error {
			return c.send(func(f *http2.Framer) error { return f.WriteRawFrame(0xbe, 0, 0, nil) })
		},
	} {
		t.Run(name, func(t *testing.T) { frameFlood(t, nil, one) })
	}
}

func emptyFloods(t *testing.T) {
	var s *stream
	post := func(c *client) { s = c.open(false, head("POST", "/slow/body")...) }
	t.Run("DATA", func(t *testing.T) {
		frameFlood(t, post, func(c *client, _ int) error {
			return c.send(func(f *http2.Framer) error { return f.WriteData(s.id, false, nil) })
		})
	})
	t.Run("DATA of padding", func(t *testing.T) {
		frameFlood(t, post, func(c *client, _ int) error {
			return c.send(func(f *http2.Framer) error { return f.WriteDataPadded(s.id, false, nil, make([]byte, 1)) })
		})
	})
	t.Run("HEADERS", func(t *testing.T) {
		frameFlood(t, nil, func(c *client, i int) error {
			return c.send(func(f *http2.Framer) error {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), EndHeaders: true})
			})
		})
	})
}

// closedWindows are a thousand streams of a client that reads nothing, or a byte at a time.
func closedWindows(t *testing.T) {
	const size = 1 << 20
	big := strings.Repeat("0123456789abcdef", size/16)
	for name, field := range map[string]string{"stored": fresh, "not stored": "Cache-Control: no-store"} {
		t.Run(name, func(t *testing.T) {
			r := open(t, edgetest.Config{}, wireOptions{stall: time.Second}, true)
			r.origin.On("/big", edgetest.Text(200, big, field))
			if name == "stored" {
				r.dial().want(big, "/big")
			}
			c := r.dial(window(0))
			before := heap()
			var all []*stream
			for range 1000 {
				s, err := c.try(true, get("/big"))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, s)
			}
			c.until("heads, or refusals", func() bool {
				for _, s := range all {
					if s.status == 0 && !s.reset {
						return false
					}
				}
				return true
			})
			if grown := heap() - before; grown > 64<<20 {
				t.Errorf("%d MiB are held for a client that reads nothing", grown>>20)
			}
			c.mu.Lock()
			for _, s := range all {
				if len(s.body) > 0 {
					t.Errorf("stream %d: %d bytes came through a window of 0", s.id, len(s.body))
				}
			}
			c.mu.Unlock()
			if err := c.wait(func() bool {
				for _, s := range all {
					if !s.reset {
						return false
					}
				}
				return true
			}); err != nil && !c.isOver() {
				t.Errorf("streams without progress are kept: %v", err)
			}
			r.answers()
		})
	}
	t.Run("a byte at a time", func(t *testing.T) {
		r := inClear(t)
		r.origin.On("/big", edgetest.Text(200, big, fresh))
		r.dial().want(big, "/big")
		c := r.dial(window(0))
		s := c.open(true, get("/big")...)
		for n := 1; n <= 300; n++ {
			_ = c.send(func(f *http2.Framer) error { return f.WriteWindowUpdate(s.id, 1) })
			c.until("a byte", func() bool { return len(s.body) == n })
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if got := string(s.body); got != big[:300] {
			t.Errorf("got %q", got)
		}
	})
}

// hpackBomb is one long field in the table, and a block of references to it.
func hpackBomb(t *testing.T) {
	r := inClear(t)
	c := r.dial()
	r.origin.On("/", edgetest.Text(200, "fine", fresh))
	block := []byte{0x82, 0x86, 0x84, 0x41, 6}
	block = append(block, "a.test"...)
	block = append(block, 0x40, 1, 'x', 0x7f, 0xa1, 0x1e) // a value of 4000 bytes
	block = append(block, strings.Repeat("x", 4000)...)
	bomb := append(block, strings.Repeat("\xbe", 12<<10)...)
	before := heap()
	for range 20 {
		c.writing.Lock()
		c.mu.Lock()
		s := c.streamLocked(c.next)
		c.next += 2
		c.mu.Unlock()
		err := c.headersLocked(s.id, true, bomb)
		c.writing.Unlock()
		if err != nil {
			break
		}
		if c.wait(func() bool { return s.ended || s.reset }) != nil {
			break
		}
		c.mu.Lock()
		if s.status != 431 && !s.reset {
			t.Errorf("a bomb was answered: %v", s)
		}
		c.mu.Unlock()
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d KiB more are held", grown>>10)
	}
	if !c.isOver() {
		c.want("fine", "/") // and the tables agree still
	}
	if n := len(r.origin.Seen()); n > 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	r.answers()
}
