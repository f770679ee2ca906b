package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"edgecache/cachestore"
	"edgecache/edge/origin"
)

// readConfig reads a configuration file over the defaults. The error is
// *faults and tells everything that is wrong in the file.
func readConfig(path string) (*settings, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parseConfig(path, text)
}

func parseConfig(file string, text []byte) (*settings, error) {
	s := defaultSettings()
	doc, wrong := parseDocument(file, text)
	if doc.node != nil {
		doc.keys(s.schema())
		s.refer()
	}
	if len(wrong.list) > 0 {
		wrong.sort()
		return nil, wrong
	}
	return s, nil
}

// schema is every key at the top of the file.
func (s *settings) schema() map[string]func(value) {
	return map[string]func(value){
		"listen":       func(v value) { s.listen = addresses(v) },
		"tls":          func(v value) { v.keys(s.tls.schema()) },
		"http3":        func(v value) { s.http3 = v.flag() },
		"admin":        func(v value) { v.keys(s.admin.schema()) },
		"memory":       func(v value) { s.memory = memoryOf(v) },
		"disk":         func(v value) { v.keys(s.disk.schema()) },
		"upstreams":    func(v value) { s.upstreams = upstreams(v) },
		"routes":       func(v value) { s.routes = readRoutes(v) },
		"hosts":        func(v value) { s.hosts = hostNames(v) },
		"trusted":      func(v value) { s.trusted = networks(v) },
		"purge":        func(v value) { v.keys(s.purge.schema()) },
		"log":          func(v value) { v.keys(s.log.schema()) },
		"limits":       func(v value) { v.keys(s.limits.schema()) },
		"ghosts":       func(v value) { s.ghosts = v.choice("on", "off") == "on" },
		"hit_for_miss": func(v value) { s.hitForMiss = v.span(0) },
		"cache_status": func(v value) {
			v.keys(map[string]func(value){
				"id":     func(v value) { s.cacheID = identifier(v) },
				"detail": func(v value) { s.cacheMore = v.flag() },
			})
		},
	}
}

func (t *tlsSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"listen": func(v value) { t.listen = addresses(v) },
		"acme":   func(v value) { t.acme.given = true; v.keys(t.acme.schema()) },
		"min_version": func(v value) {
			t.least = map[string]uint16{"1.3": tls.VersionTLS13}[v.choice("1.2", "1.3")]
		},
		"certs": func(v value) {
			v.list(func(item value) {
				var c certSettings
				item.keys(map[string]func(value){
					"cert": func(v value) { c.cert = v.text() },
					"key":  func(v value) { c.key = v.text() },
				})
				if c.cert == "" || c.key == "" {
					item.wrong("give both cert and key")
				}
				t.certs = append(t.certs, c)
			})
		},
	}
}

func (a *adminSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"listen":     func(v value) { a.listen = address(v) },
		"token_file": func(v value) { a.tokenFile = v.text() },
		"hosts":      func(v value) { a.hosts = hostNames(v) },
	}
}

func (d *diskSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"dir":       func(v value) { d.dir = v.text() },
		"size":      func(v value) { d.size = v.size(16<<20, 1<<50) },
		"sync":      func(v value) { d.sync = v.flag() },
		"shards":    func(v value) { d.shards = v.whole(0, 32) },
		"admission": func(v value) { d.admission, _ = cachestore.ParseAdmission(v.choice("always", "sz2")) },
		"objective": func(v value) { d.objective, _ = cachestore.ParseObjective(v.choice("objects", "balanced", "bytes")) },
		"returners": func(v value) { d.returners = v.flag() },
	}
}

func (p *purgeSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"allow":       func(v value) { p.allow = networks(v) },
		"soft_window": func(v value) { p.softWindow = v.span(0) },
		"tag_headers": func(v value) { p.tagHeaders = fieldNames(v) },
	}
}

func (l *logSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"access": func(v value) { l.access = v.text() },
		"format": func(v value) { l.format = v.choice("json", "combined") },
	}
}

func (l *limitSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"head":              func(v value) { l.headBytes = int(v.size(1<<10, 1<<20)) },
		"head_lines":        func(v value) { l.headLines = v.whole(1, 10000) },
		"uri":               func(v value) { l.uriBytes = int(v.size(64, 1<<20)) },
		"origin_head":       func(v value) { l.originHeadBytes = int(v.size(1<<10, 16<<20)) },
		"origin_head_lines": func(v value) { l.originHeadLines = v.whole(1, 100000) },
		"body_buffer":       func(v value) { l.bodyBuffer = v.size(1, 1<<30) },
		"object":            func(v value) { l.object = v.size(1<<10, 1<<50) },
		"ranges":            func(v value) { l.ranges = v.whole(1, 1000) },
		"tags":              func(v value) { l.tags = v.whole(1, 1000) },
		"search_rules":      func(v value) { l.searchRules = v.whole(64, 10_000_000) },
		"refreshes":         func(v value) { l.refreshes = v.whole(1, 100000) },
		"variants":          func(v value) { l.variants = v.whole(1, 1000) },
		"vary_names":        func(v value) { l.varyNames = v.whole(1, 100) },
		"conns":             func(v value) { l.conns = v.whole(1, 10_000_000) },
		"h2_streams":        func(v value) { l.h2Streams = v.whole(1, 100_000) },
		"h2_resets":         func(v value) { l.h2Resets = v.whole(1, 10_000_000) },
		"h2_controls":       func(v value) { l.h2Controls = v.whole(10, 10_000_000) },
		"header_timeout":    func(v value) { l.headerTimeout = v.span(1e6) },
		"idle":              func(v value) { l.idle = v.span(1e6) },
		"write_stall":       func(v value) { l.writeStall = v.span(1e6) },
		"body_min_rate":     func(v value) { l.bodyMinRate = v.rate() },
		"drain":             func(v value) { l.drain = v.span(1e6) },
	}
}

// upstreams reads the named origins. What only NewPool knows to be wrong is
// told with the upstream's place.
func upstreams(v value) map[string]origin.Config {
	all := map[string]origin.Config{}
	v.each(func(name string, entry value) {
		c := origin.Config{Name: name}
		before := len(v.faults.list)
		entry.keys(upstreamSchema(&c))
		if len(v.faults.list) == before {
			if _, err := origin.NewPool(c); err != nil {
				entry.wrong("%v", err)
			}
		}
		all[name] = c
	})
	return all
}

// peers reads the urls of an upstream. One without a scheme is named at its
// own place.
func peers(v value) []string {
	var all []string
	v.list(func(item value) {
		const what = "give http://HOST[:PORT] or https://HOST[:PORT]"
		s, ok := item.scalar(what)
		if ok && !strings.Contains(s, "://") {
			item.want(what)
		}
		all = append(all, s)
	})
	return all
}

func upstreamSchema(c *origin.Config) map[string]func(value) {
	return map[string]func(value){
		"peers":         func(v value) { c.Peers = peers(v) },
		"balance":       func(v value) { c.Balance = v.choice("round_robin", "least_conn", "hash") },
		"host":          func(v value) { c.Host = v.text() },
		"allow_private": func(v value) { c.AllowPrivate = v.flag() },
		"max_conns":     func(v value) { c.MaxConns = v.whole(0, 1_000_000) },
		"queue":         func(v value) { c.Queue = nobodyWaits(v.whole(0, 1_000_000)) },
		"tries":         func(v value) { c.Tries = v.whole(1, 100) },
		"fail": func(v value) {
			v.keys(map[string]func(value){
				"after": func(v value) { c.FailAfter = v.whole(1, 1000) },
				"for":   func(v value) { c.FailFor = v.span(1e6) },
			})
		},
		"tls": func(v value) {
			v.keys(map[string]func(value){
				"ca":       func(v value) { c.TLS.CA = v.text() },
				"name":     func(v value) { c.TLS.Name = v.text() },
				"insecure": func(v value) { c.TLS.Insecure = v.flag() },
			})
		},
		"timeouts": func(v value) {
			v.keys(map[string]func(value){
				"connect":    func(v value) { c.Timeouts.Connect = v.span(1e6) },
				"first_byte": func(v value) { c.Timeouts.FirstByte = v.span(1e6) },
				"idle":       func(v value) { c.Timeouts.Idle = v.span(1e6) },
			})
		},
	}
}

// nobodyWaits turns a queue of 0 into what origin.Config means by that.
func nobodyWaits(queue int) int {
	if queue == 0 {
		return -1
	}
	return queue
}

func memoryOf(v value) memorySize {
	s, ok := v.scalar("give a size like 2GiB, or a share like 25%")
	if !ok {
		return memorySize{}
	}
	m, err := parseMemory(s)
	if err != nil {
		v.want(err.Error())
	}
	return m
}

// address reads HOST:PORT to listen on; an empty host is every address.
func address(v value) string {
	s, ok := v.scalar("give HOST:PORT, like 127.0.0.1:8080 or \":8080\"")
	if !ok {
		return ""
	}
	if err := checkAddress(s); err != nil {
		v.want(err.Error())
	}
	return s
}

func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("give HOST:PORT, like 127.0.0.1:8080 or :8080")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return fmt.Errorf("give a port from 0 to 65535")
	}
	return nil
}

func addresses(v value) []string {
	var all []string
	v.list(func(item value) { all = append(all, address(item)) })
	return all
}

// networks reads addresses and networks, 10.0.0.0/8 or ::1.
func networks(v value) []netip.Prefix {
	var all []netip.Prefix
	v.list(func(item value) {
		const what = "give a network or an address, like 10.0.0.0/8 or 192.0.2.1"
		s, ok := item.scalar(what)
		if !ok {
			return
		}
		p, err := netip.ParsePrefix(s)
		if a, addrErr := netip.ParseAddr(s); addrErr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			item.want(what)
			return
		}
		if p != p.Masked() {
			item.want(fmt.Sprintf("has bits set beyond its length; give %s", p.Masked()))
		}
		all = append(all, p)
	})
	return all
}
