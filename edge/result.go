package edge

import "net/http"

// resultKind is what a filter wants.
type resultKind uint8

const (
	resultContinue resultKind = iota
	resultReject
	resultRespond
	resultRetry
	resultSkip
)

// String gives the seed's name of the result.
func (k resultKind) String() string {
	return [...]string{"continue_processing", "reject", "respond", "retry", "skip_remaining"}[k]
}

// FilterResult is what a filter answers. Its zero value goes on, so that
// forgetting is safe. Where each is allowed stands in docs/reference.md; a
// result that its phase does not allow is a 500 with reason hook_error.
type FilterResult struct {
	kind   resultKind
	status int
	reason string
	header http.Header
	body   []byte
}

// Continue goes on with the next filter; SkipRemaining skips the other filters
// of this phase; Retry asks for another peer.
var (
	Continue      = FilterResult{}
	SkipRemaining = FilterResult{kind: resultSkip}
	Retry         = FilterResult{kind: resultRetry}
)

// Reject ends the request with an error status; the reason is logged and is
// the answer's text.
func Reject(status int, reason string) FilterResult {
	return FilterResult{kind: resultReject, status: status, reason: reason}
}

// Respond ends the request with an answer of the hook's own. The body must not
// be changed afterwards.
func Respond(status int, h http.Header, body []byte) FilterResult {
	return FilterResult{kind: resultRespond, status: status, header: h, body: body}
}

// String gives the seed's name of the result.
func (r FilterResult) String() string { return r.kind.String() }
