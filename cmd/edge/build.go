package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"strings"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/acme"
	"edgecache/edge/admin"
	"edgecache/edge/certs"
	"edgecache/edge/h1"
	"edgecache/edge/h2"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// installation is everything behind the listeners. It is closed from the top
// down.
type installation struct {
	place     place
	seed      policy.Seed
	purges    *purge.Log
	store     cachestore.Store
	disk      admin.Disk // nil: there is no disk tier
	sweeper   *purge.Sweeper
	pools     map[string]*origin.Pool
	accessLog *edge.FileLog // nil when it is off
	engine    *edge.Engine
	issuer    *acme.Issuer // nil: no ACME
}

// build opens and makes what the settings describe. port is that of the first
// listener; token may be "".
func build(s *settings, port, token string, t terminal, log *slog.Logger) (*installation, error) {
	return (&installation{}).build(s, port, token, t, log)
}

// build does it for an installation that may have an issuer.
func (in *installation) build(s *settings, port, token string, t terminal, log *slog.Logger) (_ *installation, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, in.close(context.Background()))
		}
	}()
	total := totalMemory()
	tuneCollector(total)
	if err = in.openPlace(s, port, log); err != nil {
		return in, err
	}
	if err = in.openStore(s, s.memory.of(total), port, log); err != nil {
		return in, err
	}
	sweeps := purge.SweepConfig{SoftWindow: negative(s.purge.softWindow)}
	if in.disk != nil {
		sweeps.Every = diskSweepEvery
	}
	in.sweeper = purge.StartSweeper(in.purges, in.store, sweeps)
	if in.pools, err = s.pools(); err != nil {
		return in, err
	}
	if in.accessLog, err = openLog(s.log, t, log); err != nil {
		return in, err
	}
	in.engine, err = edge.New(in.engineConfig(s, token, log))
	return in, err
}

// openPlace finds the directory, opens the purge log in it, and says what a
// person should know of both.
func (in *installation) openPlace(s *settings, port string, log *slog.Logger) error {
	if err := in.settle(s.disk, port, log); err != nil {
		return err
	}
	if in.place.why != "" {
		log.Warn("no disk: serving from memory alone", "why", in.place.why, "purge_log", in.place.purgeLog())
	}
	if in.purges.Lost() {
		log.Error("the purge log was lost: everything stored before is revalidated", "err", in.purges.Trouble())
	}
	return nil
}

// diskSweepEvery is the pause between two sweeps of a store with a disk, each of
// which reads every record. A log that is half full does not wait for it.
const diskSweepEvery = 10 * time.Minute

// openStore makes the memory tier and opens the disk under it. A disk that
// cannot be used is left out, loudly.
func (in *installation) openStore(s *settings, memory int64, port string, log *slog.Logger) error {
	mem, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: memory, MaxVariants: s.limits.variants})
	if err != nil {
		return err
	}
	in.store = mem
	if !in.place.disk {
		return nil
	}
	index := in.purges.Index()
	disk, err := cachestore.OpenDisk(cachestore.DiskConfig{
		Dir: in.place.dir, Size: s.disk.size, Shards: cmp.Or(s.disk.shards, cachestore.ShardsFor(s.disk.size)), NoSync: !s.disk.sync,
		Admission: s.disk.admission, Objective: s.disk.objective, NoReturners: !s.disk.returners,
		Queue: min(diskQueue, memory/8), Seed: in.seed, PurgeEpoch: in.purges.Epoch(),
		PurgeSeq: index.Now, LastPurge: in.purges.LastPurge, Log: log,
	})
	if err != nil {
		return in.leaveDisk(err, port, log)
	}
	tiers, err := cachestore.NewTiers(mem, disk)
	if err != nil {
		return errors.Join(err, disk.Close())
	}
	in.store, in.disk = tiers, disk
	return nil
}

// diskQueue is how many bytes may wait to be written to disk, at most.
const diskQueue = 32 << 20

// pools makes the upstreams with the limits of an origin's head.
func (s *settings) pools() (map[string]*origin.Pool, error) {
	pools := map[string]*origin.Pool{}
	for name, c := range s.upstreams {
		c.HeadBytes, c.HeadLines = s.limits.originHeadBytes, s.limits.originHeadLines
		pool, err := origin.NewPool(c)
		if err != nil {
			return nil, err
		}
		pools[name] = pool
	}
	return pools, nil
}

// openLog opens the access log; nil when it is off.
func openLog(l logSettings, t terminal, log *slog.Logger) (*edge.FileLog, error) {
	format, err := edge.ParseLogFormat(l.format)
	if err != nil {
		return nil, fmt.Errorf("log.format: %w", err)
	}
	c := edge.LogConfig{Format: format, Log: log}
	switch l.access {
	case "off":
		return nil, nil
	case "-":
		return edge.NewAccessLog(t.stdout, c), nil
	}
	return edge.OpenAccessLog(l.access, c)
}

func (in *installation) engineConfig(s *settings, token string, log *slog.Logger) edge.Config {
	c := edge.Config{
		Seed: in.seed, Store: in.store, Purges: in.purges, Upstreams: in.pools, Routes: s.compiled(),
		Hosts: s.hosts, Trusted: s.trusted,
		PurgeAllow: s.purge.allow, PurgeSoftWindow: negative(s.purge.softWindow), Token: token,
		HitForMiss: negative(s.hitForMiss), CacheStatusID: s.cacheID, CacheStatusDetail: s.cacheMore, AltSvc: s.altSvc,
		Limits: edge.Limits{
			BodyBuffer: s.limits.bodyBuffer, Object: s.limits.object,
			Refreshes: s.limits.refreshes, Ranges: s.limits.ranges, SearchRules: s.limits.searchRules,
		},
		Ghosts: in.ghosts(s), Log: log,
	}
	if in.accessLog != nil {
		c.AccessLog = in.accessLog
	}
	if in.issuer != nil {
		c.Challenge = in.issuer.Answer
	}
	return c
}

// negative turns a span of 0 that the operator wrote into what the parts below
// take for none; their own 0 is the default.
func negative(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// compiled gives the routes as the engine wants them; without any, everything
// goes to the only upstream.
func (s *settings) compiled() []edge.Route {
	list := s.routes
	if len(list) == 0 {
		r := defaultRoute()
		for name := range maps.Keys(s.upstreams) {
			r.upstream = name
		}
		list = []routeSettings{r}
	}
	routes := make([]edge.Route, len(list))
	for i := range list {
		routes[i] = list[i].compile(s)
	}
	return routes
}

func (r *routeSettings) compile(s *settings) edge.Route {
	return edge.Route{
		Hosts: r.hosts, Path: r.path, Upstream: r.upstream,
		RequestHeaders: r.request, ResponseHeaders: r.response,
		Rules: policy.Rules{
			Bypass: r.bypass,
			TTL:    r.ttl.fallback, TTLMax: r.ttl.max, TTLOverride: r.ttl.override, TTLStatus: r.ttl.status,
			Heuristic: r.ttl.heuristic, HeuristicMax: r.ttl.heuristicMax,
			StaleWhileRevalidate: policy.Window{Fixed: r.stale.whileRevalidate.fixed, For: r.stale.whileRevalidate.span},
			StaleIfError:         policy.Window{Fixed: r.stale.ifError.fixed, For: r.stale.ifError.span},
			StaleIfDead:          r.stale.ifDead, StrictSMaxAge: r.stale.strictSMaxAge,
			HonorClient:    r.honorClient,
			SetCookie:      map[string]policy.SetCookie{"store": policy.SetCookieStore, "strip": policy.SetCookieStrip}[r.setCookie],
			Cookies:        map[string]policy.Cookies{"strip": policy.CookiesStrip, "bypass": policy.CookiesBypass}[r.cookies],
			CloseDelimited: r.closeDelimited,
			Targeted:       r.targeted,
			Languages:      map[string]policy.Languages{"by_weight": policy.LanguagesByWeight}[r.languages],
			TagHeaders:     s.purge.tagHeaders, Tags: r.tags, MaxTags: s.limits.tags, MaxVary: s.limits.varyNames,
			Key: policy.KeyRules{
				Allow: r.key.allow, Ignore: r.key.ignore, Sort: r.key.sort,
				Headers: r.key.headers, Cookies: r.key.cookies, NoVarySearch: r.key.noVarySearch,
			},
		},
	}
}

// wireConfig is the bounds of the HTTP/1.1 lane.
func (s *settings) wireConfig(log *slog.Logger) h1.Config {
	l := &s.limits
	return h1.Config{
		HeadBytes: l.headBytes, HeadLines: l.headLines, URIBytes: l.uriBytes,
		HeaderTimeout: l.headerTimeout, Idle: l.idle, WriteStall: l.writeStall, Drain: l.drain,
		BodyMinRate: l.bodyMinRate, Conns: l.conns, Log: log,
	}
}

// secondConfig is the bounds of the HTTP/2 lane.
func (s *settings) secondConfig(log *slog.Logger) h2.Config {
	l := &s.limits
	return h2.Config{
		HeadBytes: l.headBytes, HeadLines: l.headLines, URIBytes: l.uriBytes,
		Streams: l.h2Streams, Resets: l.h2Resets, Controls: l.h2Controls,
		HeaderTimeout: l.headerTimeout, Idle: l.idle, WriteStall: l.writeStall,
		BodyMinRate: l.bodyMinRate, Log: log,
	}
}

// certs reads the certificates; nil without TLS.
func (s *settings) certs(log *slog.Logger) (*certs.Certs, error) {
	if len(s.tls.listen) == 0 {
		return nil, nil
	}
	c := certs.Config{MinVersion: s.tls.least, Log: log}
	for _, pair := range s.tls.certs {
		c.Pairs = append(c.Pairs, certs.Files{Cert: pair.cert, Key: pair.key})
	}
	kept, err := certs.New(c)
	if err != nil {
		return nil, fmt.Errorf("tls.certs: %w", err)
	}
	return kept, nil
}

// prove opens what the settings name, as serve would, and keeps nothing.
func (s *settings) prove() error {
	var wrong []error
	if _, err := s.certs(nil); err != nil {
		wrong = append(wrong, err)
	}
	if s.admin.tokenFile != "" {
		if _, err := readToken(s.admin.tokenFile); err != nil {
			wrong = append(wrong, fmt.Errorf("admin.token_file: %w", err))
		}
	}
	if err := s.proveACME(); err != nil {
		wrong = append(wrong, err)
	}
	if _, err := s.pools(); err != nil {
		wrong = append(wrong, err)
	}
	for _, a := range append(append([]string{s.admin.listen}, s.listen...), s.tls.listen...) {
		if _, err := net.ResolveTCPAddr("tcp", a); err != nil {
			wrong = append(wrong, fmt.Errorf("listen %s: %w", a, err))
		}
	}
	return errors.Join(wrong...)
}

// close ends everything, from the top down, and keeps what it could not end.
func (in *installation) close(ctx context.Context) error {
	var wrong []error
	if in.engine != nil {
		wrong = append(wrong, in.engine.Close())
	}
	if in.issuer != nil {
		in.issuer.Close()
	}
	if in.accessLog != nil {
		wrong = append(wrong, in.accessLog.Close(ctx))
	}
	if in.sweeper != nil {
		wrong = append(wrong, in.sweeper.Close())
	}
	if in.store != nil {
		wrong = append(wrong, in.store.Close())
	}
	for _, pool := range in.pools {
		pool.Close()
	}
	if in.purges != nil {
		wrong = append(wrong, in.purges.Close())
	}
	return errors.Join(append(wrong, in.place.close())...)
}

// newLogger gives the log of what a person should act on: plain words on a
// terminal, JSON for machines.
func newLogger(t terminal) *slog.Logger {
	if isTerminal(t.stderr) {
		return slog.New(slog.NewTextHandler(t.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	return slog.New(slog.NewJSONHandler(t.stderr, nil))
}

// hostPort splits an address for a message: an empty host is this machine.
func hostPort(address string) (host, port string) {
	host, port, _ = net.SplitHostPort(address)
	if host == "" || host == "::" || host == "0.0.0.0" {
		host = "127.0.0.1"
	}
	return host, port
}

func quoted(args ...string) string {
	for i, a := range args {
		if strings.ContainsAny(a, " '\"$\\") {
			args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(args, " ")
}

func environmentToken() bool { return os.Getenv(tokenVariable) != "" }
