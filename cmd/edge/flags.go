package main

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"edgecache/edge/origin"
)

// settings gives what to run with: the defaults, over them the file, over that
// the flags, checked as a whole.
func (f *serveFlags) settings() (*settings, error) {
	s := defaultSettings()
	if f.Config != "" {
		var err error
		if s, err = readConfig(f.Config); err != nil {
			return nil, err
		}
	}
	if err := f.over(s); err != nil {
		return nil, err
	}
	return s, s.check()
}

// over puts the flags over s.
func (f *serveFlags) over(s *settings) error {
	for _, step := range []func(*settings) error{f.overOrigins, f.overListeners, f.overSizes} {
		if err := step(s); err != nil {
			return err
		}
	}
	setIf(&s.admin.tokenFile, f.TokenFile)
	setIf(&s.disk.dir, f.Disk)
	setIf(&s.log.access, f.AccessLog)
	return nil
}

func setIf(field *string, flag string) {
	if flag != "" {
		*field = flag
	}
}

// overOrigins makes the origins of the command line the peers of the only
// upstream, or of the one that is named main.
func (f *serveFlags) overOrigins(s *settings) error {
	if len(f.Origin) == 0 {
		if len(s.upstreams) == 0 {
			return &usageError{"no origin: give --origin URL, or --config FILE with upstreams"}
		}
		return nil
	}
	name := "main"
	if len(s.upstreams) == 1 {
		for only := range s.upstreams {
			name = only
		}
	}
	if _, ok := s.upstreams[name]; !ok && len(s.upstreams) > 1 {
		return &usageError{"--origin: the file has more than one upstream and none is named main"}
	}
	for _, o := range f.Origin {
		if !strings.Contains(o, "://") {
			return &usageError{fmt.Sprintf("--origin: %q: give http://HOST[:PORT], like http://127.0.0.1:3000", o)}
		}
	}
	c := s.upstreams[name]
	c.Name, c.Peers = name, f.Origin
	if _, err := origin.NewPool(c); err != nil {
		return &usageError{fmt.Sprintf("--origin: %v", err)}
	}
	if s.upstreams == nil {
		s.upstreams = map[string]origin.Config{}
	}
	s.upstreams[name] = c
	for i := range s.routes {
		if s.routes[i].upstream == "" {
			s.routes[i].upstream = name
		}
		if _, ok := s.upstreams[s.routes[i].upstream]; !ok {
			return &usageError{fmt.Sprintf("routes[%d].upstream: no upstream is named %q; --origin makes %s", i, s.routes[i].upstream, name)}
		}
	}
	return nil
}

func (f *serveFlags) overListeners(s *settings) error {
	for flag, list := range map[string][]string{"--listen": f.Listen, "--tls-listen": f.TLSListen} {
		for _, a := range list {
			if err := checkAddress(a); err != nil {
				return &usageError{fmt.Sprintf("%s %q: %v", flag, a, err)}
			}
		}
	}
	if len(f.Listen) > 0 {
		s.listen = f.Listen
	}
	if len(f.TLSListen) > 0 {
		s.tls.listen = f.TLSListen
	}
	if len(f.Cert) != len(f.Key) {
		return &usageError{fmt.Sprintf("%d --cert and %d --key; give a key for each certificate", len(f.Cert), len(f.Key))}
	}
	if len(f.Cert) > 0 {
		s.tls.certs = nil
		for i := range f.Cert {
			s.tls.certs = append(s.tls.certs, certSettings{f.Cert[i], f.Key[i]})
		}
	}
	if f.Admin != "" {
		if err := checkAddress(f.Admin); err != nil {
			return &usageError{fmt.Sprintf("--admin %q: %v", f.Admin, err)}
		}
		s.admin.listen = f.Admin
	}
	return nil
}

func (f *serveFlags) overSizes(s *settings) error {
	if f.Memory != "" {
		m, err := parseMemory(f.Memory)
		if err != nil {
			return &usageError{fmt.Sprintf("--memory %s: %v", f.Memory, err)}
		}
		s.memory = m
	}
	if f.DiskSize != "" {
		n, err := parseSize(f.DiskSize)
		if err == nil && n < 16<<20 {
			err = fmt.Errorf("give at least 16MiB")
		}
		if err != nil {
			return &usageError{fmt.Sprintf("--disk-size %s: %v", f.DiskSize, err)}
		}
		s.disk.size = n
	}
	return nil
}

// check finds what is wrong between the settings, before anything listens.
func (s *settings) check() error {
	for _, step := range []func() error{s.checkUpstreams, s.checkListeners, s.checkMemory, s.checkACME} {
		if err := step(); err != nil {
			return err
		}
	}
	switch {
	case len(s.listen) == 0 && len(s.tls.listen) == 0:
		return fmt.Errorf("listen: no address; give one in listen or tls.listen")
	case len(s.routes) == 0 && len(s.upstreams) > 1:
		return fmt.Errorf("routes: none, and %d upstreams; give a route for each", len(s.upstreams))
	case len(s.tls.listen) > 0 && len(s.tls.certs) == 0 && !s.tls.acme.given:
		return fmt.Errorf("tls.certs: none for %s; give cert and key (--cert and --key), or tls.acme", strings.Join(s.tls.listen, ", "))
	case s.limits.uriBytes > s.limits.headBytes:
		return fmt.Errorf("limits.uri: %s is more than limits.head, %s", formatSize(int64(s.limits.uriBytes)), formatSize(int64(s.limits.headBytes)))
	case !loopback(s.admin.listen) && !s.tokenConfigured():
		return fmt.Errorf("admin.listen: %s can be reached from other machines; give a token "+
			"(--token-file, EDGE_TOKEN or admin.token_file), or listen on 127.0.0.1", s.admin.listen)
	}
	return nil
}

// checkUpstreams wants a peer of each upstream: without one every request
// would be a 502.
func (s *settings) checkUpstreams() error {
	for _, name := range slices.Sorted(maps.Keys(s.upstreams)) {
		if len(s.upstreams[name].Peers) == 0 {
			return fmt.Errorf("upstreams.%s.peers: none; give at least one, like http://10.0.0.1:8000", name)
		}
	}
	return nil
}

// checkListeners finds an address that is given twice. Port 0 is another port
// each time.
func (s *settings) checkListeners() error {
	seen := map[string]bool{}
	for _, a := range slices.Concat(s.listen, s.tls.listen, []string{s.admin.listen}) {
		if _, port, err := net.SplitHostPort(a); err != nil || port == "0" {
			continue
		}
		if seen[a] {
			return fmt.Errorf("listen: %s is given twice; listen, tls.listen and admin.listen need an address each", a)
		}
		seen[a] = true
	}
	return nil
}

// checkMemory refuses a cache that the machine cannot hold.
func (s *settings) checkMemory() error {
	total := totalMemory()
	if size := s.memory.of(total); size > total {
		return fmt.Errorf("memory: %s is more than this machine or its cgroup has, %s; give less, or a share like 25%%",
			formatSize(size), formatSize(total))
	}
	return nil
}

// loopback says whether an address to listen on is reached from this machine
// alone. A name is not looked up; only localhost is taken for one that is.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
