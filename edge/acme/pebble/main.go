// Command pebble is an ACME authority for tests, on loopback: Let's Encrypt's
// pebble with a name server that leads every name to 127.0.0.1. It is a module
// of its own, so that what it is made of stays out of edge's.
//
// It listens on the socket that it inherits as file descriptor 3, which its
// parent has bound: until then a connection to the port is refused. Its first
// line on stdout is the root of what it issues.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

func main() {
	cert := flag.String("cert", "", "certificate of the directory")
	key := flag.String("key", "", "its key")
	httpPort := flag.Int("http", 0, "port at which HTTP-01 is asked for")
	tlsPort := flag.Int("tls", 0, "port at which TLS-ALPN-01 is asked for")
	seconds := flag.Uint64("validity", 3600, "seconds that a certificate is valid for")
	flag.Parse()
	if err := run(*cert, *key, *httpPort, *tlsPort, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(cert, key string, httpPort, tlsPort int, seconds uint64) error {
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"} {
		os.Setenv(name, value)
	}
	resolver, err := serveNames()
	if err != nil {
		return err
	}
	if err := syscall.Listen(3, 128); err != nil {
		return fmt.Errorf("listen on the inherited socket: %w", err)
	}
	l, err := net.FileListener(os.NewFile(3, "directory"))
	if err != nil {
		return err
	}
	logger, memory := log.New(os.Stderr, "pebble ", log.Lmicroseconds), db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "short-lived", ValidityPeriod: seconds}}
	authority := ca.New(logger, memory, "", "ecdsa", 0, 1, profiles)
	validator := va.New(logger, httpPort, tlsPort, false, resolver, memory)
	front := wfe.New(logger, memory, validator, authority, []string{"pebble.test"}, false, false, 1, 1)
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"root": string(authority.GetRootCert(0).PEM())}); err != nil {
		return err
	}
	go func() { // its parent is gone
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.ServeTLS(l, front.Handler(), cert, key)
}

// serveNames answers every question for an address with 127.0.0.1, and has no
// other records, and so no CAA that forbids anything.
func serveNames() (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // which is what the validator asks by
	if err != nil {
		return "", err
	}
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		m := new(dns.Msg).SetReply(question)
		if q := question.Question[0]; q.Qtype == dns.TypeA {
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(m)
	})
	go func() { _ = (&dns.Server{Listener: l, Handler: answer}).ActivateAndServe() }()
	return l.Addr().String(), nil
}
