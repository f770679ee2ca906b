package main

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"edgecache/edge"
	"edgecache/policy"
)

var (
	hostPattern  = regexp.MustCompile(`^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*)?(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?$`)
	tokenPattern = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110, 5.6.2
	idPattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.:/%*!#$&'+^|~-]{0,63}$`)
)

// readRoutes reads the routes, each over the default one.
func readRoutes(v value) []routeSettings {
	var all []routeSettings
	v.list(func(item value) {
		r := defaultRoute()
		r.at = item
		item.keys(r.schema())
		all = append(all, r)
	})
	return all
}

// refer checks the upstreams that routes name, and gives a route that names
// none the only one there is. Nothing is known of upstreams that only the
// command line gives, so a file without any is left for later.
func (s *settings) refer() {
	names := slices.Sorted(maps.Keys(s.upstreams))
	if len(names) == 0 {
		return
	}
	for i := range s.routes {
		r := &s.routes[i]
		switch {
		case r.upstream == "" && r.upstreamAt.node == nil && len(names) == 1:
			r.upstream = names[0]
		case r.upstream == "" && r.upstreamAt.node == nil:
			r.at.wrong("names no upstream; give one of %s", strings.Join(names, ", "))
		case r.upstream != "" && !slices.Contains(names, r.upstream):
			near := "give one of " + strings.Join(names, ", ")
			if n := nearest(r.upstream, names); n != "" {
				near = "did you mean " + n + "?"
			}
			r.upstreamAt.wrong("no upstream is named %q; %s", shorten(r.upstream), near)
		}
	}
}

func (r *routeSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"match": func(v value) {
			v.keys(map[string]func(value){
				"host": func(v value) { r.hosts = hostNames(v) },
				"path": func(v value) { r.path = pathPrefix(v) },
			})
		},
		"upstream": func(v value) { r.upstream, r.upstreamAt = v.text(), v },
		"bypass":   func(v value) { r.bypass = v.flag() },
		"ttl":      func(v value) { v.keys(r.ttl.schema()) },
		"stale":    func(v value) { v.keys(r.stale.schema()) },
		"key":      func(v value) { v.keys(r.key.schema()) },
		"client_cache_control": func(v value) {
			r.honorClient = v.choice("ignore", "honor") == "honor"
		},
		"set_cookie": func(v value) { r.setCookie = v.choice("bypass", "store", "strip") },
		"cookies":    func(v value) { r.cookies = v.choice("forward", "strip", "bypass") },
		"close_delimited": func(v value) {
			r.closeDelimited = v.choice("pass", "store") == "store"
		},
		"request_headers":  func(v value) { r.request = headerRules(v) },
		"response_headers": func(v value) { r.response = headerRules(v) },
		"tags":             func(v value) { r.tags = tagList(v) },
		"targeted":         func(v value) { r.targeted = targetedNames(v) },
		"vary": func(v value) {
			v.keys(map[string]func(value){
				"accept_language": func(v value) { r.languages = v.choice("sent", "by_weight") },
			})
		},
	}
}

func (t *ttlSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"default":       func(v value) { t.fallback = v.span(0) },
		"max":           func(v value) { t.max = v.span(time.Second) },
		"heuristic":     func(v value) { t.heuristic = v.flag() },
		"heuristic_max": func(v value) { t.heuristicMax = v.span(time.Second) },
		"override":      func(v value) { t.override = v.span(0) },
		"status":        func(v value) { t.status = byStatus(v) },
	}
}

// byStatus reads ttl.status, {404: 10s}.
func byStatus(v value) map[int]time.Duration {
	all := map[int]time.Duration{}
	v.each(func(name string, entry value) {
		status, err := strconv.Atoi(name)
		if err != nil || status < 200 || status > 599 {
			entry.wrong("the key is not a final status, 200 to 599")
			return
		}
		all[status] = entry.span(0)
	})
	return all
}

func (s *staleSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"while_revalidate": func(v value) { s.whileRevalidate = headerOrSpan(v) },
		"if_error":         func(v value) { s.ifError = headerOrSpan(v) },
		"if_dead":          func(v value) { s.ifDead = v.span(0) },
		"strict_s_maxage":  func(v value) { s.strictSMaxAge = v.flag() },
	}
}

func headerOrSpan(v value) staleSpan {
	s, ok := v.scalar("give header or a span like 30s")
	if !ok || s == "header" {
		return staleSpan{}
	}
	if _, err := parseSpan(s); err != nil {
		v.want("give header or a span like 30s")
	}
	span, _ := parseSpan(s)
	return staleSpan{fixed: true, span: span}
}

func (k *keySettings) schema() map[string]func(value) {
	return map[string]func(value){
		"query": func(v value) {
			v.keys(map[string]func(value){
				"allow":  func(v value) { k.allow = v.texts() },
				"ignore": func(v value) { k.ignore = v.texts() },
				"sort":   func(v value) { k.sort = v.flag() },
			})
			if len(k.allow) > 0 && len(k.ignore) > 0 {
				v.wrong("allow and ignore exclude each other; give one of them")
			}
		},
		"headers":        func(v value) { k.headers = fieldNames(v) },
		"cookies":        func(v value) { k.cookies = fieldNames(v) },
		"no_vary_search": func(v value) { k.noVarySearch = v.flag() },
	}
}

// headerRules reads set and remove.
func headerRules(v value) edge.HeaderRules {
	rules := edge.HeaderRules{Set: map[string]string{}}
	v.keys(map[string]func(value){
		"set": func(v value) {
			v.each(func(name string, entry value) {
				if !settable(entry, name) {
					return
				}
				rules.Set[http.CanonicalHeaderKey(name)] = fieldValue(entry)
			})
		},
		"remove": func(v value) { rules.Remove = fieldNames(v) },
	})
	return rules
}

// settable refuses what is not a field name, and the fields that frame a
// message: a rule that sets those would smuggle.
func settable(v value, name string) bool {
	if !tokenPattern.MatchString(name) {
		v.wrong("the key is not the name of a header field")
		return false
	}
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Trailer", "Te", "Keep-Alive", "Host":
		v.wrong("frames the message or names the host and cannot be set")
		return false
	}
	return true
}

// fieldValue reads a header field's value (RFC 9110, 5.5).
func fieldValue(v value) string {
	const what = "give a header field's value: one line without control characters"
	s, ok := v.scalar(what)
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			v.want(what)
			return ""
		}
	}
	if ok && s != strings.TrimSpace(s) {
		v.want("give a header field's value without blanks around it")
	}
	return s
}

// fieldNames reads a list of field or cookie names.
func fieldNames(v value) []string {
	var all []string
	v.list(func(item value) {
		s, ok := item.scalar("give the name of a header field")
		if ok && !tokenPattern.MatchString(s) {
			item.want("give a name: letters, digits and -")
		}
		all = append(all, s)
	})
	return all
}

// targetedNames reads the fields that are asked before Cache-Control (RFC
// 9213), in order. An empty list is none.
func targetedNames(v value) []string {
	all := []string{}
	v.list(func(item value) {
		s, ok := item.scalar("give the name of a header field, like CDN-Cache-Control")
		name := http.CanonicalHeaderKey(s)
		switch {
		case !ok:
		case !tokenPattern.MatchString(s):
			item.want("give the name of a header field, like CDN-Cache-Control")
		case !policy.MayTarget(name):
			item.want("a targeted field is hidden from clients, and this one has another meaning; give one like CDN-Cache-Control")
		case slices.Contains(all, name):
			item.want("it is in the list already")
		case len(all) == policy.MaxTargeted:
			item.wrong("at most %d fields; take this one out", policy.MaxTargeted)
		default:
			all = append(all, name)
		}
	})
	return all
}

// hostNames reads host names, exact or *.suffix.
func hostNames(v value) []string {
	var all []string
	v.list(func(item value) {
		const what = "give a host name like example.com, or \"*.example.com\""
		s, ok := item.scalar(what)
		if ok && !hostPattern.MatchString(s) {
			item.want(what)
		}
		all = append(all, strings.ToLower(s))
	})
	return all
}

func pathPrefix(v value) string {
	s := v.text()
	if s != "" && (s[0] != '/' || strings.ContainsAny(s, "?# ")) {
		v.want("give a path that begins with /, without query")
	}
	return s
}

// maxTagBytes is the longest tag that an object may carry (names.md, Purge).
const maxTagBytes = 256

func tagList(v value) []string {
	var all []string
	v.list(func(item value) {
		s := item.text()
		if len(s) > maxTagBytes || strings.ContainsAny(s, " ,\t") {
			item.want("give a tag of at most 256 bytes, without blanks and commas")
		}
		all = append(all, s)
	})
	return all
}

// identifier reads the name in Cache-Status: a token (RFC 9211, 2).
func identifier(v value) string {
	s := v.text()
	if s != "" && !idPattern.MatchString(s) {
		v.want("give a name of at most 64 letters, digits, - and _, that begins with a letter")
	}
	return s
}
