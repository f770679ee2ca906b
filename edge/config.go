package edge

import (
	"log/slog"
	"net/netip"
	"time"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// Config is all that an Engine is made of. New checks it and copies what it
// keeps; nothing in it may change afterwards.
type Config struct {
	Seed      policy.Seed // of the installation; gives the id in Via and CDN-Loop
	Store     cachestore.Store
	Purges    *purge.Log
	Upstreams map[string]*origin.Pool
	Routes    []Route  // first match wins; empty: everything to the only upstream
	Hosts     []string // if any, other hosts get 421; "*.x" is a suffix
	Trusted   []netip.Prefix

	PurgeAllow      []netip.Prefix // who may PURGE without a token
	PurgeSoftWindow time.Duration  // 0 = 30 s
	Token           string         // for PURGE and Server-Timing; "" = nobody has one

	HitForMiss        time.Duration // 0 = 10 s; negative = off
	CacheStatusID     string        // "" = "edge"
	CacheStatusDetail bool
	AltSvc            string // Alt-Svc on answers over TLS that are not HTTP/3; "" = none
	Limits            Limits

	Ghosts GhostConfig // the zero value: none

	Proxy Proxy // nil: the routes' upstreams
	Parts []any // parts with hooks, in order

	// Challenge gives what an authority is to find under a path of
	// /.well-known/acme-challenge/ in cleartext; nil when it knows no such
	// token, and the request goes its way. It does not block.
	Challenge func(host, path []byte) []byte
	AccessLog AccessLog    // nil: no log
	Log       *slog.Logger // for what a person should act on; nil = discard

	Now func() time.Time // nil = time.Now
}

// Route is one entry of routes, compiled.
type Route struct {
	Hosts           []string // exact, or "*.suffix"; empty: every host
	Path            string   // prefix, segment-wise; "" or "/" is everything
	Upstream        string
	Rules           policy.Rules
	RequestHeaders  HeaderRules // on what the origin is asked
	ResponseHeaders HeaderRules // on every answer; compiled into its tail
}

// HeaderRules sets and removes header fields.
type HeaderRules struct {
	Set    map[string]string
	Remove []string
}

// Limits are the bounds that the engine keeps; a zero is its default.
type Limits struct {
	BodyBuffer  int64 // bytes a hook may buffer of a body; 1 MiB
	Object      int64 // bytes of a stored object; 20 GiB
	Ahead       int64 // bytes a fetch may run ahead of its fastest reader; 8 MiB
	Refreshes   int   // background refreshes at once; 64
	Ranges      int   // ranges a request; 16
	Fetches     int   // fetches that may be stored, at once; 10,000
	Explain     int   // requests that explain remembers; 256
	SearchRules int   // paths with a No-Vary-Search; 65,536
	Followers   int   // requests that may wait for one fetch; 10,000
}

// AccessLog takes one record a request. Record's slices are only valid during
// the call. It must not block: a full pipe drops and counts.
type AccessLog interface{ Write(*Record) }

// Record is one line of the access log (names.md, Formats). Times are Unix
// nanoseconds, spans nanoseconds.
type Record struct {
	Time               int64
	ID                 []byte
	Kind               Kind
	Client             []byte
	Method             string
	Scheme             string
	Host               []byte
	Path               []byte // of the uri
	Query              []byte
	HasQuery           bool
	Status             int
	Bytes              int64 // sent, head included
	BodyBytes          int64
	Cache              CacheStatus
	Tier               Tier // that gave the answer
	Reason             policy.Reason
	Unstored           policy.Reason
	TTL, Age           int64 // whole seconds; Age -1: none
	Peer               string
	PeerHealthy        bool
	Retries            int
	Duration           int64
	Upstream           int64 // from the request to the end of the origin's answer; 0: not asked
	Proto              Proto
	UserAgent, Referer []byte
	Error              string
	Fault              policy.Reason // what Error is, where the answer had begun well; else Reason says it
}

// Kind says whose request it was.
type Kind uint8

// A client's request, or a refresh in the background.
const (
	KindClient Kind = iota
	KindRefresh
)

// String gives the kind as the access log prints it.
func (k Kind) String() string { return [...]string{"client", "refresh"}[k] }

// Refusal is a head that was too malformed to become a session.
type Refusal struct {
	At     int64 // Unix ns
	Remote netip.AddrPort
	TLS    bool
	Status int
	Proto  Proto
	Detail string // what was wrong; for explain and the log, never for the client
	Bytes  int64  // sent
}
