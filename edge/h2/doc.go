// Package h2 serves HTTP/2 (RFC 9113), over TLS and in the clear with prior
// knowledge. What memory answers is answered by the goroutine that reads the
// connection: all answers to what one read brought leave in one write, with no
// goroutine and no lock a request. Everything else runs on a stream's own
// goroutine, whose writes wait for their turn (RFC 9218), the client's windows,
// and the client's reading.
//
// A stream is in one of these states:
//
//	idle         above conn.lastID
//	inline       conn.turn: its answer is being made, nobody else knows it
//	open         in conn.streams, its request's body is still coming
//	half closed  in conn.streams, its request is whole
//	closed       at or below lastID and not in conn.streams
//
// and each type of frame has one function:
//
//	DATA            onData          HEADERS, CONTINUATION  onHeaders, onContinuation
//	RST_STREAM      onReset         SETTINGS               onSettings
//	PRIORITY        onPriority      PRIORITY_UPDATE        onPriorityUpdate
//	PING            onPing          GOAWAY                 onGoAway
//	WINDOW_UPDATE   onWindow        PUSH_PROMISE           a connection error
package h2
