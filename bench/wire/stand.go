package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"edgecache/bench/child"
	"edgecache/bench/rivals"
)

// setUp is what differs between stands.
type setUp struct {
	name   string
	cores  int  // that the servers have
	onDisk bool // bodies lie on disk and memory holds few of them
}

// The stands, each with servers of its own.
var (
	inMemory = setUp{name: "memory", cores: 1}
	fresh    = setUp{name: "fresh", cores: 1} // like memory, and nothing came before
	onDisk   = setUp{name: "disk", cores: 1, onDisk: true}
	twoCores = setUp{name: "cores", cores: 2} // beside one in memory
)

// Sizes of the caches.
const (
	memoryMiB = 512
	scarceMiB = 16 // where memory is to hold little
	diskMiB   = 1024
)

// stand is servers before one origin.
type stand struct {
	setUp
	o       options
	env     *environment
	servers []*server
}

// environment is what all stands share.
type environment struct {
	dir, disk string // scratch in memory, if there is room for it, and on disk
	edge      string // binary
	cert      certificate
	origin    *origin
	files     int
	pinned    bool
}

// under is the command that ties what follows to cores, or nothing.
func (e *environment) under(cores string) []string {
	if !e.pinned {
		return nil
	}
	return []string{"taskset", "-c", cores}
}

// loadCore and serverCore are where load and origin, and the servers, run.
const (
	loadCore   = "0"
	serverCore = "1"
	bothCores  = "0,1"
)

func (s *stand) under() []string {
	if s.cores > 1 {
		return s.env.under(bothCores)
	}
	return s.env.under(serverCore)
}

// open starts the servers of a stand.
func open(ctx context.Context, o options, env *environment, u setUp) (s *stand, err error) {
	s = &stand{setUp: u, o: o, env: env}
	starts := map[string]func(context.Context, string) (*server, error){
		"edge": s.edge, "nginx": s.nginx, "varnish": s.varnish,
	}
	for _, name := range o.servers {
		dir := filepath.Join(env.dir, u.name+"-"+name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, errors.Join(err, s.close())
		}
		one, err := starts[name](ctx, dir)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", name, err), s.close())
		}
		one.name = name
		s.servers = append(s.servers, one)
	}
	return s, nil
}

func (s *stand) close() (err error) {
	for _, one := range s.servers {
		if failed := one.stop(); failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", one.name, failed))
		}
		_ = os.RemoveAll(filepath.Join(s.env.dir, s.name+"-"+one.name))
		_ = os.RemoveAll(s.stored(one.name)) // the directory of all goes in the end
	}
	return err
}

// stored is where a server of this stand may store what is not for memory.
func (s *stand) stored(name string) string {
	if s.onDisk {
		return filepath.Join(s.env.disk, s.name+"-"+name)
	}
	return filepath.Join(s.env.dir, s.name+"-"+name, "stored")
}

func (s *stand) edge(ctx context.Context, dir string) (*server, error) {
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "edge.yaml")
	text := fmt.Sprintf("tls: {listen: [%q], certs: [{cert: %q, key: %q}]}\ndisk: {size: %dMiB, admission: always}\n",
		addrs[0], s.env.cert.cert, s.env.cert.key, diskMiB)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	c := child.Config{
		Binary: s.env.edge, Dir: dir, Origin: "http://" + s.env.origin.addr(), File: conf,
		Memory: fmt.Sprintf("%dMiB", memoryMiB), Disk: "off", Log: filepath.Join(dir, "access.log"),
		Under: s.under(), Env: []string{fmt.Sprintf("GOMAXPROCS=%d", s.cores)},
	}
	if s.onDisk {
		c.Memory, c.Disk = fmt.Sprintf("%dMiB", scarceMiB), s.stored("edge")
	}
	e, err := child.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	return &server{
		plain: strings.TrimPrefix(e.Target, "http://"), tls: addrs[0], h2: offersH2(addrs[0]),
		pid: e.PID(), log: c.Log, metrics: e.Admin + "/metrics", ends: []func() error{e.Stop},
		hit: func(h http.Header) bool { return strings.Contains(h.Get("Cache-Status"), "; hit") },
	}, nil
}

// offersH2 asks for h2 by ALPN.
func offersH2(addr string) bool {
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		return false // no protocol in common is an alert
	}
	defer c.Close()
	return c.ConnectionState().NegotiatedProtocol == "h2"
}

func saysHit(h http.Header) bool { return h.Get("X-Cache-Status") == "HIT" }

func (s *stand) nginx(ctx context.Context, dir string) (*server, error) {
	addrs, err := freeAddrs(2)
	if err != nil {
		return nil, err
	}
	n := rivals.Nginx{
		Listen: addrs[0], TLS: addrs[1], Origin: s.env.origin.addr(), Dir: dir, Cache: s.stored("nginx"),
		Log: filepath.Join(dir, "access.log"), Cert: s.env.cert.cert, Key: s.env.cert.key,
		Root: os.Geteuid() == 0, Workers: s.cores, Files: s.env.files, Connections: s.env.files - 64, MaxMiB: memoryMiB,
	}
	if s.onDisk {
		n.MaxMiB = diskMiB
	}
	text, err := n.Conf()
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := errors.Join(os.MkdirAll(n.Cache, 0o755), os.WriteFile(conf, text, 0o600)); err != nil {
		return nil, err
	}
	c, err := start(append(s.under(), "nginx", "-c", conf, "-p", dir))
	if err != nil {
		return nil, err
	}
	one := &server{plain: n.Listen, tls: n.TLS, h2: true, pid: c.pid(), log: n.Log, hit: saysHit, ends: []func() error{c.stop}}
	if err := c.listens(ctx, n.Listen); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return one, nil
}

// varnish has no TLS of its own.
func (s *stand) varnish(ctx context.Context, dir string) (*server, error) {
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	text, err := rivals.VCL(s.env.origin.addr())
	if err != nil {
		return nil, err
	}
	vcl, log, work := filepath.Join(dir, "edge.vcl"), filepath.Join(dir, "access.log"), filepath.Join(dir, "work")
	if err := errors.Join(os.WriteFile(vcl, text, 0o600), os.WriteFile(log, nil, 0o600)); err != nil {
		return nil, err
	}
	storage := "malloc," + strconv.Itoa(memoryMiB) + "m"
	if s.onDisk {
		if err := os.MkdirAll(s.stored("varnish"), 0o755); err != nil {
			return nil, err
		}
		storage = fmt.Sprintf("file,%s,%dm", filepath.Join(s.stored("varnish"), "file"), diskMiB)
	}
	d, err := start(append(s.under(), "varnishd", "-F", "-j", "none", "-T", "none", "-n", work, "-f", vcl,
		"-a", addrs[0], "-s", storage, "-p", "nuke_limit=100000", // room for a large one is made of as many small ones as it takes
		"-p", "timeout_idle=600")) // as long as nginx
	if err != nil {
		return nil, err
	}
	if err := d.listens(ctx, addrs[0]); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	// Its log is shared memory; a process beside it writes lines.
	l, err := start(append(s.under(), "varnishncsa", "-n", work, "-a", "-w", log))
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return &server{plain: addrs[0], pid: d.pid(), logger: l.pid(), log: log, hit: saysHit, ends: []func() error{l.stop, d.stop}}, nil
}

// pin ties this process, and so the tools that it starts, to the load's core.
func pin() error {
	out, err := exec.Command("taskset", "-a", "-c", "-p", loadCore, strconv.Itoa(os.Getpid())).CombinedOutput()
	if err != nil {
		return fmt.Errorf("pin the load: %w\n%s", err, out)
	}
	return nil
}
