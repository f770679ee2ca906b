package purge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"edgecache/policy"
)

// The bounds of one request to the API.
const (
	MaxBodyBytes = 1 << 20
	MaxSelectors = 1_000

	defaultListed = 100
)

// API is the HTTP face of a Log, after draft-nottingham-http-invalidation:
//
//	POST /v1/purge         purge what the body names
//	GET  /v1/purges        the last calls, newest first; ?limit=N
//	GET  /v1/purges/{id}   one call
//
// It does not ask who calls: its server does.
type API struct {
	log   *Log
	keyer Keyer
	mux   *http.ServeMux
}

var _ http.Handler = (*API)(nil)

// NewAPI is the API of l. Urls are put through k, if it is not nil, so that
// they name what the routes' key rules keep.
func NewAPI(l *Log, k Keyer) *API {
	a := &API{log: l, keyer: k, mux: http.NewServeMux()}
	a.mux.HandleFunc("POST /v1/purge", a.purge)
	a.mux.HandleFunc("GET /v1/purges", a.list)
	a.mux.HandleFunc("GET /v1/purges/{id}", a.get)
	a.mux.HandleFunc("/v1/purge", allow("POST"))
	a.mux.HandleFunc("/v1/purges", allow("GET, HEAD"))
	a.mux.HandleFunc("/v1/purges/{id}", allow("GET, HEAD"))
	a.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "there is no such resource")
	})
	return a
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// PurgeURL purges one url, as PURGE on the data port does. The url is
// normalised; the key rules are applied here.
func (a *API) PurgeURL(ctx context.Context, u policy.URL, s Strength) (Result, error) {
	return a.log.Purge(ctx, URLEntry(u, s).keyed(a.keyer))
}

// An answer is what a purge answers: never a count, for a purge does not look
// at objects.
type answer struct {
	ID      string `json:"id"`
	Seq     uint64 `json:"seq"`
	Applied bool   `json:"applied"`
	Mode    string `json:"mode"`
}

func (a *API) purge(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBodyBytes))
	if err != nil {
		refuseBody(w, err)
		return
	}
	es, err := readRequest(body)
	if err != nil {
		refuseRequest(w, err)
		return
	}
	var keyed []Entry
	for i := range es {
		keyed = append(keyed, es[i].keyed(a.keyer)...)
	}
	res, err := a.log.Purge(r.Context(), keyed)
	if err != nil {
		refusePurge(w, err)
		return
	}
	reply(w, http.StatusOK, answer{res.ID, res.Seq, res.Applied, es[0].Strength.String()})
}

// A request is the body of POST /v1/purge. Unknown members are ignored, as the
// draft asks.
type request struct {
	Type      string   `json:"type"`
	Selectors []string `json:"selectors"`
	Host      string   `json:"host"`
	Purge     bool     `json:"purge"`
	Wait      string   `json:"wait"` // on one node every answer means applied
}

// errUnsupported is a type that this cache does not know.
var errUnsupported = errors.New("the type is not supported")

// scopeOfType reads the draft's names and ours.
var scopeOfType = map[string]Scope{
	"uri": ScopeURL, "uri-prefix": ScopePrefix, "origin": ScopeHost, "group": ScopeGroup,
	"tag": ScopeTag, "host": ScopeHost, "all": ScopeAll,
}

// readRequest turns a body into entries: all that it names, or an error.
func readRequest(body []byte) ([]Entry, error) {
	var q request
	if !utf8.Valid(body) {
		return nil, errors.New("the body is not UTF-8")
	}
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, fmt.Errorf("the body is not the JSON object that is wanted: %w", err)
	}
	scope, known := scopeOfType[q.Type]
	switch {
	case q.Type == "":
		return nil, errors.New("type is missing")
	case !known:
		return nil, fmt.Errorf("%w: %q", errUnsupported, q.Type)
	case q.Wait != "" && q.Wait != "none" && q.Wait != "local" && q.Wait != "all":
		return nil, fmt.Errorf("wait is none, local or all, not %q", q.Wait)
	case len(q.Selectors) > MaxSelectors:
		return nil, fmt.Errorf("there are %d selectors; at most %d are taken", len(q.Selectors), MaxSelectors)
	case len(q.Selectors) == 0 && scope != ScopeAll:
		return nil, errors.New("selectors is missing or empty")
	}
	return q.entries(scope)
}

// entries parses every selector before anything is purged.
func (q *request) entries(scope Scope) ([]Entry, error) {
	strength := Soft
	if q.Purge {
		strength = Hard
	}
	if len(q.Selectors) == 0 {
		q.Selectors = []string{""}
	}
	es := make([]Entry, 0, len(q.Selectors))
	for _, selector := range q.Selectors {
		parse := ParseEntry
		if q.Type == "origin" {
			parse = parseOrigin
		}
		e, err := parse(scope, selector, q.Host, strength)
		if err != nil {
			return nil, err
		}
		es = append(es, e)
	}
	return es, nil
}

// parseOrigin reads "scheme://host[:port]". Its host is purged under both
// schemes, which is more than was asked, never less.
func parseOrigin(_ Scope, selector, host string, s Strength) (Entry, error) {
	origin, err := normalOrigin(selector)
	if err == nil && host != "" {
		err = errors.New("an origin takes no host beside it")
	}
	if err != nil {
		return Entry{}, fmt.Errorf("purge origin %q: %w", selector, err)
	}
	return ParseEntry(ScopeHost, hostOf(origin), "", s)
}

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	limit := defaultListed
	if s := r.URL.Query().Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			refuse(w, http.StatusBadRequest, "limit is a number from 1")
			return
		}
		limit = min(n, HistoryLimit)
	}
	reply(w, http.StatusOK, map[string][]Record{"purges": a.log.List(limit)})
}

func (a *API) get(w http.ResponseWriter, r *http.Request) {
	record, found := a.log.Get(r.PathValue("id"))
	if !found {
		refuse(w, http.StatusNotFound, "no such purge is remembered")
		return
	}
	reply(w, http.StatusOK, record)
}

// allow answers a method that a resource does not have (RFC 9110, 15.5.6).
func allow(methods string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", methods)
		refuse(w, http.StatusMethodNotAllowed, "the method is not allowed here")
	}
}

func refuseBody(w http.ResponseWriter, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is over %d bytes", MaxBodyBytes))
		return
	}
	refuse(w, http.StatusBadRequest, "the body cannot be read")
}

func refuseRequest(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if errors.Is(err, errUnsupported) {
		status = http.StatusNotImplemented
	}
	refuse(w, status, err.Error())
}

// StatusOf is the HTTP status for an error of Log.Purge, and after how many
// seconds it is worth trying again; 0 is not said.
func StatusOf(err error) (status, retryAfter int) {
	switch {
	case errors.Is(err, ErrBusy):
		return http.StatusTooManyRequests, 1
	case errors.Is(err, ErrTooMany):
		return http.StatusTooManyRequests, 30
	}
	return http.StatusServiceUnavailable, 0
}

// refusePurge says why nothing was purged. Where the log is stays inside.
func refusePurge(w http.ResponseWriter, err error) {
	status, retryAfter := StatusOf(err)
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	for _, known := range []error{ErrBusy, ErrTooMany, ErrStorage, ErrClosed} {
		if errors.Is(err, known) {
			refuse(w, status, known.Error())
			return
		}
	}
	refuse(w, status, "the purge was not confirmed")
}

// refuse answers with an RFC 9457 problem.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	write(w, status, map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	write(w, status, v)
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}
