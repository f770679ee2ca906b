package edge

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"edgecache/edge/origin"
	"edgecache/policy"
)

// route is a Route made ready: its pool, its answers' extra fields.
type route struct {
	Route
	pool    *origin.Pool
	tail    policy.Fields // response_headers.set, appended to every answer
	without []string      // fields of the origin's answer that are removed

	ownAltSvc bool // the operator has set or removed Alt-Svc
}

// router finds the route of a request. It never changes.
type router struct{ routes []*route }

func newRouter(c *Config) (*router, error) {
	list := c.Routes
	if len(list) == 0 {
		if len(c.Upstreams) != 1 && c.Proxy == nil {
			return nil, fmt.Errorf("routes: none, and %d upstreams: name a route for each", len(c.Upstreams))
		}
		list = []Route{{Rules: policy.Rules{Heuristic: true}}}
		for name := range c.Upstreams {
			list[0].Upstream = name
		}
	}
	r := &router{}
	for i, in := range list {
		pool, ok := c.Upstreams[in.Upstream]
		if !ok && c.Proxy == nil {
			return nil, fmt.Errorf("routes[%d].upstream: no upstream is named %q", i, in.Upstream)
		}
		r.routes = append(r.routes, compile(in, pool))
	}
	return r, nil
}

func compile(in Route, pool *origin.Pool) *route {
	r := &route{Route: in, pool: pool, without: slices.Clone(in.ResponseHeaders.Remove)}
	r.Hosts = lowerAll(in.Hosts)
	names := make([]string, 0, len(in.ResponseHeaders.Set))
	for name := range in.ResponseHeaders.Set {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		r.tail = append(r.tail, policy.Field{Name: []byte(name), Value: []byte(in.ResponseHeaders.Set[name])})
		r.without = append(r.without, name)
	}
	r.ownAltSvc = slices.ContainsFunc(r.without, func(name string) bool { return strings.EqualFold(name, nameAltSvc) })
	return r
}

func lowerAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ToLower(s)
	}
	return out
}

// match gives the first route for host and path; among routes with the same
// hosts the longest path prefix goes first. nil when none fits.
func (r *router) match(host, path []byte) *route {
	var best *route
	for _, t := range r.routes {
		if best != nil && (len(t.Path) <= len(best.Path) || !slices.Equal(t.Hosts, best.Hosts)) {
			continue
		}
		if pathHas(path, t.Path) && hostIn(host, t.Hosts) {
			best = t
		}
	}
	return best
}

// pathHas says whether prefix covers path, segment by segment.
func pathHas(path []byte, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	if len(prefix) == 0 {
		return true
	}
	if len(path) < len(prefix) || string(path[:len(prefix)]) != prefix {
		return false
	}
	return len(path) == len(prefix) || path[len(prefix)] == '/'
}

// hostIn says whether host is in a list of names and "*.suffix" patterns; an
// empty list has every host. The port is looked at only where the list has one.
func hostIn(host []byte, list []string) bool {
	if len(list) == 0 {
		return true
	}
	bare := host
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		bare = host[:i]
	}
	for _, h := range list {
		if string(host) == h || string(bare) == h {
			return true
		}
		if suffix, ok := strings.CutPrefix(h, "*"); ok && len(bare) > len(suffix) && string(bare[len(bare)-len(suffix):]) == suffix {
			return true
		}
	}
	return false
}
