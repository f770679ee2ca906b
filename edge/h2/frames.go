package h2

import "encoding/binary"

// Sizes on the wire.
const (
	frameHead    = 9         // of a frame, in front of its payload (RFC 9113, 4.1)
	frameKindAt  = 3         // where in it the type is
	maxFrame     = 16384     // of a payload, both ways: the least that everybody takes
	settingBytes = 6         // of one setting
	maxWindow    = 1<<31 - 1 // RFC 9113, 6.9.1
	firstWindow  = 65535     // of a connection and of streams before any SETTINGS
	maxStreamID  = uint32(1<<31) - 1
)

// preface is what a client sends first (RFC 9113, 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// kind is a frame's type (RFC 9113, 6; RFC 9218, 7.1).
type kind uint8

const (
	kindData           kind = 0x0
	kindHeaders        kind = 0x1
	kindPriority       kind = 0x2
	kindReset          kind = 0x3
	kindSettings       kind = 0x4
	kindPush           kind = 0x5
	kindPing           kind = 0x6
	kindGoAway         kind = 0x7
	kindWindow         kind = 0x8
	kindContinuation   kind = 0x9
	kindPriorityUpdate kind = 0x10
)

// Flags of frames; one bit means different things in different frames.
const (
	flagAck        = 0x1
	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Settings (RFC 9113, 6.5.2; RFC 8441, 3; RFC 9218, 2.1); those that are used here.
const (
	settingPush         = 0x2
	settingStreams      = 0x3
	settingWindow       = 0x4
	settingFrameSize    = 0x5
	settingHeaderList   = 0x6
	settingConnect      = 0x8
	settingNoPriorities = 0x9
)

// code is an error code (RFC 9113, 7); those that are used here.
type code uint32

const (
	codeNone        code = 0x0
	codeProtocol    code = 0x1
	codeInternal    code = 0x2
	codeFlow        code = 0x3
	codeClosed      code = 0x5
	codeSize        code = 0x6
	codeRefused     code = 0x7
	codeCancel      code = 0x8
	codeCompression code = 0x9
	codeCalm        code = 0xb
)

// frame is a frame's head and its payload, a view into the read buffer.
type frame struct {
	kind    kind
	flags   uint8
	stream  uint32
	payload []byte
}

func (f *frame) has(flag uint8) bool { return f.flags&flag != 0 }

// frameStream is the stream that a frame's head names.
func frameStream(head []byte) uint32 { return binary.BigEndian.Uint32(head[5:]) & maxStreamID }

// cutFrame takes the first whole frame off b. size is how many bytes it has in
// all, 0 while it is not there as a whole; a payload that is too long fails at
// once.
func cutFrame(b []byte) (f frame, size int, err error) {
	if len(b) < frameHead {
		return frame{}, 0, nil
	}
	n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	f = frame{kind: kind(b[3]), flags: b[4], stream: frameStream(b)}
	if n > maxFrame {
		return f, 0, connError{codeSize, "frame over 16384 bytes"}
	}
	if len(b) < frameHead+n {
		return f, 0, nil
	}
	f.payload = b[frameHead : frameHead+n : frameHead+n]
	return f, frameHead + n, nil
}

// unpad takes the padding off a payload (RFC 9113, 6.1).
func (f *frame) unpad() error {
	if !f.has(flagPadded) {
		return nil
	}
	if len(f.payload) == 0 {
		return connError{codeSize, "no room for the pad length"}
	}
	pad := int(f.payload[0])
	if pad >= len(f.payload) {
		return connError{codeProtocol, "padding longer than the payload"}
	}
	f.payload = f.payload[1 : len(f.payload)-pad]
	return nil
}

// appendFrameHead appends a frame's head.
func appendFrameHead(b []byte, n int, k kind, flags uint8, stream uint32) []byte {
	return append(b, byte(n>>16), byte(n>>8), byte(n), byte(k), flags,
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

func appendReset(b []byte, stream uint32, c code) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(b, 4, kindReset, 0, stream), uint32(c))
}

func appendWindow(b []byte, stream, n uint32) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(b, 4, kindWindow, 0, stream), n)
}

func appendGoAway(b []byte, last uint32, c code) []byte {
	b = appendFrameHead(b, 8, kindGoAway, 0, 0)
	b = binary.BigEndian.AppendUint32(b, last)
	return binary.BigEndian.AppendUint32(b, uint32(c))
}

func appendPong(b, data []byte) []byte {
	return append(appendFrameHead(b, 8, kindPing, flagAck, 0), data...)
}

func appendSetting(b []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, id), value)
}

// openBlock leaves room for the head of a HEADERS frame whose block follows;
// closeBlock fills it in.
func openBlock(b []byte) []byte { return append(b, make([]byte, frameHead)...) }

// closeBlock makes frames of the header block that begins behind start: one
// HEADERS, and CONTINUATIONs when it is long (RFC 9113, 6.10).
func closeBlock(b []byte, start int, stream uint32, end bool) []byte {
	flags := uint8(0)
	if end {
		flags = flagEndStream
	}
	n := len(b) - start - frameHead
	if n <= maxFrame {
		appendFrameHead(b[:start], n, kindHeaders, flags|flagEndHeaders, stream)
		return b
	}
	block := append([]byte(nil), b[start+frameHead:]...)
	b = b[:start]
	for k := kindHeaders; len(block) > 0; k, flags = kindContinuation, 0 {
		n := min(len(block), maxFrame)
		if n == len(block) {
			flags |= flagEndHeaders
		}
		b = append(appendFrameHead(b, n, k, flags, stream), block[:n]...)
		block = block[n:]
	}
	return b
}
