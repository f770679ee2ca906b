package h3

// fault says what was wrong with a request's head. Faults are values made once.
// What breaks the framing or the rules for pseudo-header fields never comes
// here: quic-go resets such a stream (RFC 9114, 4.1.2).
type fault struct {
	status int
	kind   FaultKind
	detail string // for the log and explain, never for the client
}

// FaultKind groups the faults for the counters in Stats.
type FaultKind uint8

// The kinds of faults.
const (
	FaultMethod   FaultKind = iota // CONNECT, TRACE, and what is no method
	FaultTarget                    // a byte that no target has
	FaultField                     // a value that breaks the grammar
	FaultFraming                   // a malformed Content-Length
	FaultExpect                    // an expectation other than 100-continue
	FaultTooLarge                  // a head over its limits
	FaultBody                      // a body that was read ahead of its session
	faultKinds                     // how many there are
)

// FaultKinds is the number of kinds; each FaultKind is below it.
const FaultKinds = int(faultKinds)

// String gives the kind as a metric's label prints it.
func (k FaultKind) String() string {
	return [...]string{"method", "target", "field", "framing", "expect", "too_large", "body"}[k]
}

var (
	faultMethodName = &fault{400, FaultMethod, "method is no token of 1 to 32 bytes"}
	faultNoMethod   = &fault{405, FaultMethod, "CONNECT and TRACE are not offered"}
	faultExtended   = &fault{501, FaultMethod, "extended CONNECT is not offered"}
	faultTargetByte = &fault{400, FaultTarget, "byte not allowed in a target"}
	faultURILong    = &fault{414, FaultTooLarge, "target over limits.uri"}
	faultHeadLong   = &fault{431, FaultTooLarge, "head over limits.head"}
	faultLines      = &fault{431, FaultTooLarge, "more field lines than limits.head_lines"}
	faultValueByte  = &fault{400, FaultField, "byte not allowed in a field value"}
	faultLength     = &fault{400, FaultFraming, "malformed Content-Length"}
	faultExpect     = &fault{417, FaultExpect, "expectation other than 100-continue"}
)
