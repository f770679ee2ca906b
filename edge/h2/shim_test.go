package h2

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

const (
	testStall = 10 * time.Second
	testBound = 1 << 20
)

// sockets are the two ends of a TCP connection on loopback.
func sockets(t testing.TB) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if far, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

// pipe are the ends of a connection that is no socket.
func pipe(t testing.TB) (near, far net.Conn) {
	near, far = net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

var bothKinds = map[string]func(testing.TB) (near, far net.Conn){"socket": sockets, "pipe": pipe}

// started is a shim that has been started.
func started(nc net.Conn, stall time.Duration, bound int) *shim {
	s := newShim(nc, stall, bound)
	s.start(func() {})
	return s
}

// fillUp writes until the far end, which does not read, leaves a backlog.
func fillUp(t testing.TB, s *shim) (written int) {
	t.Helper()
	for block := make([]byte, 64<<10); s.Backlog() == 0; {
		n, err := s.Write(block)
		written += n
		if err != nil {
			t.Fatal(err)
		}
	}
	return written
}

func TestShimKeepsOrderForASlowReader(t *testing.T) {
	defer goleak.VerifyNone(t)
	for kind, ends := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			near, far := ends(t)
			s := started(near, testStall, testBound)
			random := mathrand.New(mathrand.NewPCG(1, 2))
			sent := make([]byte, 8<<20)
			for i := range sent {
				sent[i] = byte(random.Uint32())
			}
			got := make(chan []byte)
			go func() {
				var all []byte
				sizes := mathrand.New(mathrand.NewPCG(3, 4))
				for buf := make([]byte, 96<<10); len(all) < len(sent); {
					n, err := far.Read(buf[:1+sizes.IntN(len(buf))])
					if err != nil {
						break
					}
					all = append(all, buf[:n]...)
				}
				got <- all
			}()
			waits := 0
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(128<<10))
				if s.Backlog()+n > testBound {
					waits++
					if err := s.await(testBound - n); err != nil {
						t.Fatal(err)
					}
				}
				if m, err := s.Write(rest[:n]); m != n || err != nil {
					t.Fatalf("Write of %d: %d, %v", n, m, err)
				}
				rest = rest[n:]
			}
			if all := <-got; !bytes.Equal(all, sent) {
				t.Fatalf("%d bytes came, of %d, or in another order", len(all), len(sent))
			}
			if err := s.await(0); err != nil || s.Backlog() != 0 {
				t.Errorf("in the end: %d in the backlog, error %v", s.Backlog(), err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			t.Logf("waited %d times for room", waits)
		})
	}
}

func TestShimWriteDoesNotWait(t *testing.T) {
	for kind, ends := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			near, _ := ends(t) // nobody reads: a Write that waits never returns
			s := started(near, time.Hour, testBound)
			defer s.Close()
			fillUp(t, s)
		})
	}
}

func TestShimFailsOverItsBound(t *testing.T) {
	for kind, ends := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			near, _ := ends(t)
			s := started(near, time.Hour, testBound)
			defer s.Close()
			fillUp(t, s)
			for s.Backlog() < testBound {
				if _, err := s.Write(make([]byte, min(64<<10, testBound-s.Backlog()))); err != nil {
					t.Fatalf("at %d bytes of %d: %v", s.Backlog(), testBound, err)
				}
			}
			if n, err := s.Write([]byte{1}); n != 0 || !errors.Is(err, errBacklog) {
				t.Errorf("one byte over the bound: %d, %v, want 0, %v", n, err, errBacklog)
			}
			if s.Backlog() > testBound {
				t.Errorf("backlog %d, want at most %d", s.Backlog(), testBound)
			}
			if _, err := s.Write(nil); !errors.Is(err, errBacklog) {
				t.Errorf("the next Write: %v, want the same error", err)
			}
		})
	}
}

func TestShimErrorSticks(t *testing.T) {
	for kind, ends := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			near, far := ends(t)
			s := newShim(near, testStall, 64<<20)
			failed := make(chan struct{})
			s.start(func() {
				if _, err := s.Write(nil); err != nil {
					close(failed)
				}
			})
			defer s.Close()
			fillUp(t, s)
			_ = far.Close()
			<-failed
			_, first := s.Write([]byte("more"))
			_, second := s.Write([]byte("more"))
			if first == nil || first != second {
				t.Errorf("writes after the end: %v, then %v, want one error", first, second)
			}
			if err := s.await(0); err != first {
				t.Errorf("await: %v, want %v", err, first)
			}
			if s.Backlog() != 0 {
				t.Errorf("%d bytes are kept that nobody will get", s.Backlog())
			}
			if _, err := s.Read(make([]byte, 1)); err == nil {
				t.Error("a Read goes on after the writes have failed")
			}
		})
	}
}

// In a bubble the time of a stall is exact.
func TestShimCutsAClientThatStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pipe(t)
		s := started(near, testStall, testBound)
		defer s.Close()
		begun := time.Now()
		if _, err := s.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		// Each byte taken renews the time.
		for range 5 {
			time.Sleep(testStall - time.Second)
			if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.await(0); !errors.Is(err, errStalled) {
			t.Fatalf("await: %v, want %v", err, errStalled)
		}
		// A pipe tells of a part only when the deadline comes: up to twice the stall.
		least, most := 5*(testStall-time.Second)+testStall-time.Second, 5*(testStall-time.Second)+2*testStall
		if got := time.Since(begun); got < least || got > most {
			t.Errorf("cut after %v, want %v to %v", got, least, most)
		}
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Error("the conn is still open")
		}
	})
}

// A socket tells of each part, and only a client that takes none is cut.
func TestShimStallOnASocket(t *testing.T) {
	near, far := sockets(t)
	s := started(near, 50*time.Millisecond, 64<<20)
	defer s.Close()
	fillUp(t, s)
	if err := s.await(0); !errors.Is(err, errStalled) {
		t.Errorf("await: %v, want %v", err, errStalled)
	}
	if _, err := io.Copy(io.Discard, far); err == nil {
		t.Log("the client saw an end")
	}
}

func TestShimWakesWhenTheBacklogIsEmpty(t *testing.T) {
	near, far := sockets(t)
	s := newShim(near, testStall, 64<<20)
	var woken, more atomic.Int64
	again := make(chan struct{})
	s.start(func() {
		if woken.Add(1) == 1 {
			n, err := s.Write([]byte("written by woken"))
			more.Store(int64(n))
			if err != nil {
				t.Error(err)
			}
			return
		}
		close(again)
	})
	defer s.Close()
	total := fillUp(t, s)
	if woken.Load() != 0 {
		t.Error("woken before anything was sent")
	}
	done := make(chan error)
	go func() {
		_, err := io.CopyN(io.Discard, far, int64(total+len("written by woken")))
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	<-again // what woken wrote went out, and its end was told
	if more.Load() == 0 {
		t.Error("woken could write nothing")
	}
	s.running.Wait()
	if n := woken.Load(); n != 2 {
		t.Errorf("woken %d times, want 2", n)
	}
	// Without a flusher, and with its deadlines gone, the socket is tried at once.
	if _, err := s.Write([]byte("x")); err != nil || s.Backlog() != 0 {
		t.Errorf("afterwards: %v, backlog %d", err, s.Backlog())
	}
}

func TestShimCloseDropsTheBacklog(t *testing.T) {
	defer goleak.VerifyNone(t)
	for kind, ends := range bothKinds {
		t.Run(kind, func(t *testing.T) {
			near, _ := ends(t)
			s := started(near, time.Hour, testBound)
			fillUp(t, s)
			waited := make(chan error)
			go func() { waited <- s.await(0) }()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if err := <-waited; !errors.Is(err, net.ErrClosed) {
				t.Errorf("await: %v, want %v", err, net.ErrClosed)
			}
			if _, err := s.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write after Close: %v, want %v", err, net.ErrClosed)
			}
		})
	}
}

// Until start it waits, and obeys deadlines, as the conn below does.
func TestShimIsTransparentUntilStart(t *testing.T) {
	near, far := pipe(t)
	s := newShim(near, testStall, testBound)
	_ = s.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("a Write that nobody reads returned before its deadline")
	}
	s.start(func() {})
	defer s.Close()
	_ = s.SetDeadline(time.Unix(1, 0)) // of no effect on a Write from here on
	go func() { _, _ = s.Write([]byte("y")) }()
	got := make([]byte, 1)
	if _, err := io.ReadFull(far, got); err != nil || got[0] != 'y' {
		t.Errorf("read %q, %v", got, err)
	}
}

// The last alert of crypto/tls puts the write deadline into the past: what is on its way
// must arrive all the same.
func TestShimUnderTLSDeliversWhatWasWritten(t *testing.T) {
	defer goleak.VerifyNone(t)
	near, far := sockets(t)
	s := newShim(near, testStall, 64<<20)
	server := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
	client := tls.Client(far, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-shaken; err != nil {
		t.Fatal(err)
	}
	s.start(func() {})
	total := 0
	for block := make([]byte, 200<<10); s.Backlog() == 0; total += len(block) {
		if _, err := server.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	read := make(chan int64)
	go func() {
		n, err := io.Copy(io.Discard, client)
		if err != nil {
			t.Error(err)
		}
		read <- n
	}()
	if err := s.await(0); err != nil {
		t.Error(err)
	}
	if n := <-read; n != int64(total) {
		t.Errorf("%d bytes came, want %d", n, total)
	}
	_ = s.Close()
}

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestShimWriteAllocatesNothing(t *testing.T) {
	near, far := sockets(t)
	s := started(near, testStall, testBound)
	defer s.Close()
	p, got := make([]byte, 1200), make([]byte, 1200)
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := s.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, got); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a Write, want 0", allocs)
	}
}

// BenchmarkShimWrite is a Write that the socket takes whole, beside the socket's own.
func BenchmarkShimWrite(b *testing.B) {
	for _, kind := range []string{"shim", "socket"} {
		b.Run(kind+"/1KiB", func(b *testing.B) {
			near, far := sockets(b)
			var w io.WriteCloser = near
			if kind == "shim" {
				s := newShim(near, testStall, 64<<20)
				s.start(func() {})
				w = s
			}
			defer w.Close()
			go func() { _, _ = io.Copy(io.Discard, far) }()
			p := make([]byte, 1<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Write(p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
