package edge

import (
	"strconv"
	"time"
)

// TLSStats is what is known of the certificates that clients are shown.
type TLSStats struct {
	Certs        []CertStats
	Reloaded     uint64            // pairs of files that were read again
	ReloadFailed uint64            // and that could not be
	Orders       map[string]uint64 // what came of orders to an authority; nil when there is none
}

// CertStats is one certificate. Both labels come from the configuration.
type CertStats struct {
	Source   string // file, acme
	Cert     string // the file, or the name
	NotAfter time.Time
}

// HandshakeStats counts the TLS handshakes of one kind that succeeded.
type HandshakeStats struct {
	Version string // "1.2", "1.3"
	Resumed bool   // by a ticket
	Count   int64
}

var (
	descExpiry     = desc("tls_cert_expiry_seconds", "Until the certificate expires; below zero: since then.", "source", "cert")
	descReloads    = desc("tls_cert_reloads_total", "Pairs of certificate and key that were read again because they changed, or could not be (failed).", "outcome")
	descOrders     = desc("tls_acme_orders_total", "Orders of certificates: obtained, renewed, failed.", "outcome")
	descHandshakes = desc("tls_handshakes_total", "TLS handshakes that succeeded, by version, and whether they resumed a session.", "version", "resumed")
	descShakeFault = desc("tls_handshake_failures_total", "TLS handshakes that failed, by reason.", "reason")
)

// WatchTLS tells where the certificates' state is read at each scrape.
func (m *Metrics) WatchTLS(read func() TLSStats) { m.tls.Store(&read) }

// secure is what there is to tell of TLS.
func (s scrape) secure(t TLSStats, w WireStats, now time.Time) {
	for _, c := range t.Certs {
		s.value(descExpiry, c.NotAfter.Sub(now).Seconds(), c.Source, c.Cert)
	}
	s.count(descReloads, float64(t.Reloaded), "reloaded")
	s.count(descReloads, float64(t.ReloadFailed), "failed")
	for outcome, n := range t.Orders {
		s.count(descOrders, float64(n), outcome)
	}
	for _, h := range w.Handshakes {
		s.count(descHandshakes, float64(h.Count), h.Version, strconv.FormatBool(h.Resumed))
	}
	for reason, n := range w.HandshakeFaults {
		s.count(descShakeFault, float64(n), reason)
	}
}
