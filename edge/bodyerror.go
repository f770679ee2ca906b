package edge

// BodyError is a wire's fault in a request's body: malformed framing, one that ends early, that
// is not as long as it was said to be, or one that comes too slowly. The engine answers with
// HTTPStatus and cuts the origin's connection, so that no half request is taken for a whole.
type BodyError struct {
	Status int // 400 or 408
	Detail string
	Err    error // the connection's or the stream's error, if that was the cause
}

// Error says what was wrong.
func (e *BodyError) Error() string {
	if e.Err != nil {
		return "request body: " + e.Detail + ": " + e.Err.Error()
	}
	return "request body: " + e.Detail
}

// Unwrap gives the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// HTTPStatus is the status that the client gets, if no head went out yet.
func (e *BodyError) HTTPStatus() int { return e.Status }
