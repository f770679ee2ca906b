// Package rivals holds how the caches beside which edge is measured are set up:
// as their own documentation advises for a cache, on loopback.
package rivals

import (
	"bytes"
	"embed"
	"fmt"
	"net"
	"text/template"
)

//go:embed *.tmpl
var files embed.FS

var templates = template.Must(template.New("").Option("missingkey=error").ParseFS(files, "*.tmpl"))

// Nginx is what differs between two nginx.
type Nginx struct {
	Listen, TLS string // addresses
	Origin      string // its address
	Dir, Cache  string // what it writes, and what it stores
	Log         string // file
	Cert, Key   string // files
	Root        bool   // it is started by root: its workers stay root
	Workers     int
	Connections int // a worker may have
	Files       int // a worker may have open
	MaxMiB      int // it stores
}

// Conf is nginx.conf.
func (n Nginx) Conf() ([]byte, error) { return render("nginx.conf.tmpl", n) }

// VCL is Varnish's program for an origin with that address.
func VCL(origin string) ([]byte, error) {
	var to struct{ Host, Port string }
	var err error
	if to.Host, to.Port, err = net.SplitHostPort(origin); err != nil {
		return nil, fmt.Errorf("address of the origin: %w", err)
	}
	return render("varnish.vcl.tmpl", to)
}

func render(name string, data any) ([]byte, error) {
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, name, data); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return out.Bytes(), nil
}
