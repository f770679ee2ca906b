package certs

import (
	"crypto/rand"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// How long a key makes tickets, and how many keys still open them: a session
// can be resumed for 24 to 36 hours, and what was recorded longer ago stays
// closed even to who steals the keys.
const (
	ticketPeriod = 12 * time.Hour
	ticketKeys   = 3
)

// tickets seals the sessions that clients may resume. Its keys are in memory
// alone and turn by themselves, with the first handshake after their time; a
// config that was cloned has the same ones, since it calls here.
type tickets struct {
	now    func() time.Time
	sealer tls.Config
	turnAt atomic.Int64 // Unix ns

	mu   sync.Mutex
	keys [][32]byte // the newest first
}

// wrap is tls.Config's WrapSession.
func (t *tickets) wrap(state tls.ConnectionState, session *tls.SessionState) ([]byte, error) {
	t.turn()
	session.EarlyData = false // no 0-RTT: it can be replayed (RFC 8446, 8)
	return t.sealer.EncryptTicket(state, session)
}

// unwrap is tls.Config's UnwrapSession.
func (t *tickets) unwrap(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
	t.turn()
	session, err := t.sealer.DecryptTicket(ticket, state)
	if session != nil {
		session.EarlyData = false
	}
	return session, err
}

// turn makes as many new keys as periods have gone by.
func (t *tickets) turn() {
	now := t.now().UnixNano()
	if now < t.turnAt.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.turnAt.Load()
	if now < at {
		return
	}
	periods := int64(1)
	if t.keys == nil {
		at = now
	} else {
		periods += (now - at) / int64(ticketPeriod)
	}
	for range min(periods, ticketKeys) {
		var key [32]byte
		rand.Read(key[:])
		t.keys = append([][32]byte{key}, t.keys[:min(len(t.keys), ticketKeys-1)]...)
	}
	t.sealer.SetSessionTicketKeys(t.keys)
	t.turnAt.Store(at + periods*int64(ticketPeriod))
}
