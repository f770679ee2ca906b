package certs

import (
	"crypto/rsa"
	"crypto/tls"
	"slices"
	"strings"
	"time"
)

// shelf has the certificates by the names that they are for. It never changes;
// a reload makes another.
type shelf struct {
	exact map[string][]*tls.Certificate
	wild  map[string][]*tls.Certificate // "*.a.test" by "a.test" (RFC 6125, 6.4.3: one label)
	first []*tls.Certificate            // for no name, or an unknown one
}

// newShelf sorts the certificates in. Of several for one name those with an
// elliptic key come first, whose signatures cost a tenth; then the given order.
func newShelf(list []*tls.Certificate) *shelf {
	s := &shelf{exact: map[string][]*tls.Certificate{}, wild: map[string][]*tls.Certificate{}}
	ordered := slices.Clone(list)
	slices.SortStableFunc(ordered, func(a, b *tls.Certificate) int { return rank(a) - rank(b) })
	for _, cert := range ordered {
		for _, n := range cert.Leaf.DNSNames {
			at, key := s.at(n)
			if !slices.Contains(at[key], cert) {
				at[key] = append(at[key], cert)
			}
		}
	}
	if len(list) == 0 {
		return s
	}
	s.first = list[:1]
	if names := list[0].Leaf.DNSNames; len(names) > 0 {
		at, key := s.at(names[0]) // its name's other keys are as good
		s.first = at[key]
	}
	return s
}

// at says where the certificates for a name stand.
func (s *shelf) at(name string) (map[string][]*tls.Certificate, string) {
	name = canonical(name)
	if under, wild := strings.CutPrefix(name, "*."); wild {
		return s.wild, under
	}
	return s.exact, name
}

func rank(cert *tls.Certificate) int {
	if _, slow := cert.Leaf.PublicKey.(*rsa.PublicKey); slow {
		return 1
	}
	return 0
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// parent is a name without its first label.
func parent(name string) string {
	_, under, _ := strings.Cut(name, ".")
	return under
}

// asking is a handshake that wants a certificate.
type asking struct {
	hello tls.ClientHelloInfo
	now   time.Time
}

// best gives the first certificate that the client can use and that has not
// expired; else one that it can use; else the first, and the handshake will
// say what is missing.
func (a *asking) best(list []*tls.Certificate) *tls.Certificate {
	if len(list) == 0 {
		return nil
	}
	var expired *tls.Certificate
	for _, cert := range list {
		if a.hello.SupportsCertificate(cert) != nil {
			continue
		}
		if !a.now.After(cert.Leaf.NotAfter) {
			return cert
		}
		if expired == nil {
			expired = cert
		}
	}
	if expired != nil {
		return expired
	}
	return list[0]
}
