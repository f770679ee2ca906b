package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxACMENames bounds the names that an authority is asked for.
const maxACMENames = 100

func (a *acmeSettings) schema() map[string]func(value) {
	return map[string]func(value){
		"names":       func(v value) { a.names = orderedNames(v) },
		"email":       func(v value) { a.email = mailAddress(v) },
		"agree":       func(v value) { a.agree = v.flag() },
		"directory":   func(v value) { a.directory = directoryURL(v) },
		"ca":          func(v value) { a.ca = v.text() },
		"storage":     func(v value) { a.storage = v.text() },
		"renew_check": func(v value) { a.check = v.span(1e9) },
		"challenges": func(v value) {
			a.challenges = nil
			v.list(func(item value) { a.challenges = append(a.challenges, item.choice("http-01", "tls-alpn-01")) })
		},
	}
}

// orderedNames reads the names that certificates are ordered for.
func orderedNames(v value) []string {
	names := hostNames(v)
	for _, name := range names {
		_, err := netip.ParseAddr(strings.Trim(name, "[]"))
		switch {
		case strings.Contains(name, "*"):
			v.wrong("%s: a wildcard cannot be proved by http-01 or tls-alpn-01; give each name", name)
		case err == nil || strings.Contains(name, ":"):
			v.wrong("%s: give a host name, without a port", name)
		}
	}
	if len(names) > maxACMENames {
		v.wrong("%d names; give at most %d", len(names), maxACMENames)
	}
	return names
}

func mailAddress(v value) string {
	s := v.text()
	if user, host, ok := strings.Cut(s, "@"); !ok || user == "" || host == "" {
		v.want("give a mail address, like ops@example.com")
	}
	return s
}

func directoryURL(v value) string {
	s := v.text()
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" || u.Host == "" {
		v.want("give the directory's URL, https://HOST/PATH")
	}
	return s
}

// checkACME finds what is missing for orders of certificates.
func (s *settings) checkACME() error {
	a := &s.tls.acme
	switch {
	case !a.given:
		return nil
	case len(a.names) == 0:
		return errors.New("tls.acme.names: none; give the names that certificates are for")
	case !a.agree:
		return errors.New("tls.acme.agree: say true when you agree to the terms of the authority; nothing is ordered without it")
	case a.email == "":
		return errors.New("tls.acme.email: none; give an address at which the authority reaches you")
	case len(s.tls.listen) == 0:
		return errors.New("tls.listen: none, but tls.acme has names; give an address, like \":443\"")
	case len(a.challenges) == 0:
		return errors.New("tls.acme.challenges: none; give http-01, tls-alpn-01, or both")
	case !a.takes("tls-alpn-01") && len(s.listen) == 0:
		return errors.New("tls.acme.challenges: http-01 needs an address in listen, which the authority reaches at port 80")
	}
	for _, name := range a.names {
		if len(s.hosts) > 0 && !slices.ContainsFunc(s.hosts, func(h string) bool { return hostMatches(h, name) }) {
			return fmt.Errorf("tls.acme.names: %s is not in hosts, so its requests would be refused; add it there", name)
		}
	}
	return nil
}

// hostMatches says whether an entry of hosts is for a name.
func hostMatches(entry, name string) bool {
	suffix, wild := strings.CutPrefix(entry, "*")
	return entry == name || wild && len(name) > len(suffix) && strings.HasSuffix(name, suffix)
}

func (a *acmeSettings) takes(challenge string) bool { return slices.Contains(a.challenges, challenge) }

// place is where account, keys and certificates are.
func (a *acmeSettings) place() string {
	if a.storage != "" {
		return a.storage
	}
	return filepath.Join(stateDir(), "acme")
}

// roots reads who vouches for the directory; nil are those of the machine.
func (a *acmeSettings) roots() (*x509.CertPool, error) {
	if a.ca == "" {
		return nil, nil
	}
	text, err := os.ReadFile(a.ca)
	if err != nil {
		return nil, fmt.Errorf("tls.acme.ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tls.acme.ca: %s has no certificate in PEM", a.ca)
	}
	return roots, nil
}

// proveACME reads the roots and tries whether the storage, or what of its path
// is there, can be written.
func (s *settings) proveACME() error {
	a := &s.tls.acme
	if !a.given {
		return nil
	}
	_, wrong := a.roots()
	dir := a.place()
	for {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	probe, err := os.CreateTemp(dir, "probe.*")
	if err == nil {
		err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	}
	if err != nil {
		wrong = errors.Join(wrong, fmt.Errorf("tls.acme.storage: %s cannot be written: %w", a.place(), err))
	}
	return wrong
}

// oneLine is an error's text without line ends.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
