package h2

import "encoding/binary"

// appendHello appends what the server says first: its settings, and a window for all
// bodies together.
func (c *conn) appendHello(b []byte) []byte {
	conf := &c.server.config
	settings := []struct {
		id    uint16
		value uint32
	}{
		{settingStreams, uint32(conf.Streams)},
		{settingWindow, uint32(conf.StreamWindow)},
		{settingHeaderList, uint32(conf.HeadBytes)},
		{settingConnect, 1},
		{settingNoPriorities, 1},
	}
	b = appendFrameHead(b, len(settings)*settingBytes, kindSettings, 0, 0)
	for _, s := range settings {
		b = appendSetting(b, s.id, s.value)
	}
	if more := conf.ConnWindow - firstWindow; more > 0 {
		b = appendWindow(b, 0, uint32(more))
	}
	return b
}

// onSettings takes the client's settings (RFC 9113, 6.5). Those about its own
// tables and pushes change nothing: we index nothing and push nothing.
func (c *conn) onSettings(f *frame) error {
	switch {
	case f.stream != 0:
		return connError{codeProtocol, "SETTINGS on a stream"}
	case f.has(flagAck) && len(f.payload) > 0:
		return connError{codeSize, "SETTINGS ack with a payload"}
	case f.has(flagAck):
		return nil
	case len(f.payload)%settingBytes != 0:
		return connError{codeSize, "SETTINGS cut"}
	}
	if c.settled {
		if err := c.control("SETTINGS"); err != nil {
			return err
		}
	}
	c.settled = true
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := f.payload; len(p) > 0; p = p[settingBytes:] {
		if err := c.setting(binary.BigEndian.Uint16(p), binary.BigEndian.Uint32(p[2:])); err != nil {
			return err
		}
	}
	c.out = appendFrameHead(c.out, 0, kindSettings, flagAck, 0) // before what they bring about
	c.pump()
	return nil
}

// setting takes one. mu is held.
func (c *conn) setting(id uint16, value uint32) error {
	switch id {
	case settingPush:
		if value > 1 {
			return connError{codeProtocol, "SETTINGS_ENABLE_PUSH"}
		}
	case settingFrameSize:
		if value < maxFrame || value > 1<<24-1 {
			return connError{codeProtocol, "SETTINGS_MAX_FRAME_SIZE"}
		}
	case settingWindow:
		if value > maxWindow {
			return connError{codeFlow, "SETTINGS_INITIAL_WINDOW_SIZE"}
		}
		return c.resize(int64(value))
	}
	return nil
}

// resize changes the windows of all streams (RFC 9113, 6.9.2). mu is held.
func (c *conn) resize(window int64) error {
	by := window - c.peerWindow
	c.peerWindow, c.firstWindow = window, window
	for _, st := range c.streams {
		st.window += by
		if st.window > maxWindow {
			return connError{codeFlow, "a stream's window over 2^31-1"}
		}
		if st.busy && by > 0 {
			c.sched.add(st)
		}
	}
	return nil
}
