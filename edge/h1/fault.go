package h1

// fault says what was wrong with a request's head. Faults are values made once:
// refusing costs no allocation.
type fault struct {
	status int
	kind   FaultKind
	detail string // for the log and explain, never for the client
}

// FaultKind groups the faults for the counters in Stats.
type FaultKind uint8

// The kinds of faults.
const (
	FaultRequestLine FaultKind = iota // method, spaces, missing version
	FaultVersion                      // a version that is not HTTP/1.0 or 1.1
	FaultTarget                       // a target that is no origin-form or fit absolute-form
	FaultMethod                       // CONNECT and TRACE
	FaultHost                         // doubled, odd, or other than the target's authority
	FaultField                        // a field line that breaks the grammar
	FaultFraming                      // Content-Length and Transfer-Encoding
	FaultExpect                       // an expectation other than 100-continue
	FaultTooLarge                     // a head over its limits
	FaultTimeout                      // a head that did not arrive in time
	FaultBody                         // a body that was read ahead of its session
	faultKinds                        // how many there are
)

// FaultKinds is the number of kinds; each FaultKind is below it.
const FaultKinds = int(faultKinds)

// String gives the kind as a metric's label prints it.
func (k FaultKind) String() string {
	return [...]string{"request_line", "version", "target", "method", "host", "field",
		"framing", "expect", "too_large", "timeout", "body"}[k]
}

var (
	faultLineEnd    = &fault{400, FaultField, "line ended by a bare LF"}
	faultEmptyLines = &fault{400, FaultRequestLine, "no request line"}
	faultFirstByte  = &fault{400, FaultRequestLine, "not HTTP"}
	faultMethodName = &fault{400, FaultRequestLine, "method is no token of 1 to 32 bytes"}
	faultParts      = &fault{400, FaultRequestLine, "request line has not three parts"}

	faultVersionForm = &fault{400, FaultVersion, "malformed version"}
	faultVersion     = &fault{505, FaultVersion, "version is neither 1.1 nor 1.0"}

	faultTargetByte = &fault{400, FaultTarget, "byte not allowed in a target"}
	faultTargetForm = &fault{400, FaultTarget, "target is neither a path nor an http URL"}
	faultAuthority  = &fault{400, FaultTarget, "malformed authority in the target"}
	faultURILong    = &fault{414, FaultTooLarge, "target over limits.uri"}
	faultNoMethod   = &fault{405, FaultMethod, "CONNECT and TRACE are not offered"}

	faultHostTwice = &fault{400, FaultHost, "more than one Host"}
	faultHostForm  = &fault{400, FaultHost, "malformed Host"}
	faultHostOther = &fault{400, FaultHost, "Host differs from the target's authority"}

	faultNoColon   = &fault{400, FaultField, "field line without a name and a colon"}
	faultFold      = &fault{400, FaultField, "line starts with a space"}
	faultFieldName = &fault{400, FaultField, "byte not allowed in a field name"}
	faultValueByte = &fault{400, FaultField, "byte not allowed in a field value"}

	faultLength       = &fault{400, FaultFraming, "malformed Content-Length"}
	faultLengthTwice  = &fault{400, FaultFraming, "more than one Content-Length"}
	faultCoding       = &fault{400, FaultFraming, "Transfer-Encoding is not chunked"}
	faultCodingTwice  = &fault{400, FaultFraming, "more than one Transfer-Encoding"}
	faultCodingOld    = &fault{400, FaultFraming, "Transfer-Encoding in HTTP/1.0"}
	faultBothFramings = &fault{400, FaultFraming, "Content-Length and Transfer-Encoding"}

	faultExpect   = &fault{417, FaultExpect, "expectation other than 100-continue"}
	faultHeadLong = &fault{431, FaultTooLarge, "head over limits.head"}
	faultLines    = &fault{431, FaultTooLarge, "more field lines than limits.head_lines"}
	faultSlowHead = &fault{408, FaultTimeout, "head not complete within limits.header_timeout"}
)
