package main

import (
	"net/netip"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/origin"
)

// settings is all that a run of edge is made of: the defaults, over them the
// file, over that the flags. docs/reference.md describes each key.
type settings struct {
	listen     []string
	tls        tlsSettings
	http3      bool   // beside each of tls.listen
	altSvc     string // where that is, once it listens
	admin      adminSettings
	memory     memorySize
	disk       diskSettings
	upstreams  map[string]origin.Config
	routes     []routeSettings
	hosts      []string
	trusted    []netip.Prefix
	purge      purgeSettings
	log        logSettings
	limits     limitSettings
	hitForMiss time.Duration
	cacheID    string
	cacheMore  bool // cache_status.detail
	ghosts     bool
}

type tlsSettings struct {
	listen []string
	certs  []certSettings
	least  uint16 // tls.min_version
	acme   acmeSettings
}

type acmeSettings struct {
	given      bool
	names      []string
	email      string
	agree      bool
	directory  string
	ca         string
	storage    string // "" is STATE/acme
	challenges []string
	check      time.Duration
}

func defaultACME() acmeSettings {
	return acmeSettings{
		directory: "https://acme-v02.api.letsencrypt.org/directory", challenges: []string{"http-01", "tls-alpn-01"},
		check: 10 * time.Minute,
	}
}

type certSettings struct{ cert, key string }

type adminSettings struct {
	listen    string
	tokenFile string
	hosts     []string // names by which the admin port may be asked for, beside loopback's and its own address
}

type diskSettings struct {
	dir       string // "" is the default place, "off" none
	size      int64
	sync      bool
	shards    int // 0: as many as suit the size
	admission cachestore.Admission
	objective cachestore.Objective
	returners bool
}

type purgeSettings struct {
	allow      []netip.Prefix
	softWindow time.Duration
	tagHeaders []string
}

type logSettings struct {
	access string // "-", "off", or a file
	format string
}

type limitSettings struct {
	headBytes, headLines, uriBytes  int
	h2Streams, h2Resets, h2Controls int
	originHeadBytes                 int
	originHeadLines                 int
	bodyBuffer, object              int64
	ranges, tags, refreshes         int
	searchRules                     int
	variants, varyNames, conns      int
	headerTimeout, idle             time.Duration
	writeStall, drain               time.Duration
	bodyMinRate                     int64
}

// routeSettings is one entry of routes.
type routeSettings struct {
	hosts          []string
	path           string
	upstream       string
	at, upstreamAt value // where the route and its upstream stand in the file
	bypass         bool
	ttl            ttlSettings
	stale          staleSettings
	key            keySettings
	honorClient    bool
	setCookie      string
	cookies        string
	closeDelimited bool
	request        edge.HeaderRules
	response       edge.HeaderRules
	tags           []string
	targeted       []string // canonical names
	languages      string   // vary.accept_language
}

type ttlSettings struct {
	fallback, max, override time.Duration
	heuristic               bool
	heuristicMax            time.Duration
	status                  map[int]time.Duration
}

type staleSettings struct {
	whileRevalidate, ifError staleSpan
	ifDead                   time.Duration
	strictSMaxAge            bool
}

// staleSpan is a stale window: what the answer's header says, or a fixed one.
type staleSpan struct {
	fixed bool
	span  time.Duration
}

type keySettings struct {
	allow, ignore    []string
	sort             bool
	headers, cookies []string
	noVarySearch     bool
}

// defaultSettings is what holds where neither file nor flags say anything.
func defaultSettings() *settings {
	return &settings{
		listen: []string{":8080"},
		tls:    tlsSettings{acme: defaultACME()},
		http3:  true,
		admin:  adminSettings{listen: "127.0.0.1:9145"},
		memory: memorySize{percent: 25},
		disk:   diskSettings{size: 1 << 30, sync: true, admission: cachestore.AdmitSZ2, returners: true},
		purge: purgeSettings{
			softWindow: 30 * time.Second,
			tagHeaders: []string{"Surrogate-Key", "Cache-Tag", "Cache-Groups"},
		},
		log: logSettings{access: "-", format: "json"},
		limits: limitSettings{
			headBytes: 16 << 10, headLines: 100, uriBytes: 8 << 10,
			h2Streams: 250, h2Resets: 1000, h2Controls: 10000,
			originHeadBytes: 64 << 10, originHeadLines: 500,
			bodyBuffer: 1 << 20, object: 20 << 30,
			ranges: 16, tags: 64, refreshes: 64, searchRules: 65536, variants: 32, varyNames: 16, conns: 20000,
			headerTimeout: 10 * time.Second, idle: time.Minute,
			writeStall: 30 * time.Second, drain: 30 * time.Second, bodyMinRate: 100,
		},
		hitForMiss: 10 * time.Second,
		cacheID:    "edge",
		ghosts:     true,
	}
}

// defaultRoute is an entry of routes that says nothing.
func defaultRoute() routeSettings {
	return routeSettings{
		path: "/",
		ttl: ttlSettings{
			max: 365 * 24 * time.Hour, heuristic: true, heuristicMax: 24 * time.Hour,
		},
		stale:     staleSettings{ifDead: 24 * time.Hour},
		setCookie: "bypass",
		cookies:   "forward",
		targeted:  []string{"Cdn-Cache-Control"},
		languages: "sent",
	}
}
