package h3

import (
	"crypto/tls"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Client asks over HTTP/3: for tests and load, here and in other rooms. It holds
// one connection to each server until it is closed, and asks for nothing by
// itself (no gzip).
type Client struct{ http3.Transport }

// NewClient makes a client with the settings of TLS.
func NewClient(config *tls.Config) *Client {
	return &Client{http3.Transport{TLSClientConfig: config, DisableCompression: true, QUICConfig: &quic.Config{}}}
}
