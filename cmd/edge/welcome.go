package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/term"
)

// isTerminal says whether a person reads along.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// screen gives the size of the terminal that w is; 0 where it does not say.
func screen(w io.Writer) (columns, lines int, is bool) {
	if !isTerminal(w) {
		return 0, 0, false
	}
	columns, lines, _ = term.GetSize(int(w.(*os.File).Fd()))
	return columns, lines, true
}

// welcome says that edge serves: four lines for a person, one log line for a
// machine. The token itself is never shown.
func (r *running) welcome(tokenFile string) {
	if !isTerminal(r.terminal.stderr) {
		r.log.Info("serving", "listen", addressesOf(r.plain), "tls_listen", addressesOf(r.secure), "http3_listen", r.quic.addresses(),
			"admin", r.adminListener.Addr().String(), "token_file", tokenFile, "access_log", r.settings.log.access,
			"memory", r.in.store.Stats().Limit, "disk", r.in.store.Stats().Disk.Limit, "version", version(), "pid", os.Getpid())
		return
	}
	r.greet(r.terminal.stderr)
}

// greet writes the four lines: where it listens, the admin address, a purge
// command to copy, where the log goes.
func (r *running) greet(w io.Writer) {
	log := map[string]string{"-": "to standard output", "off": "off"}[r.settings.log.access]
	if log == "" {
		log = "to " + r.settings.log.access
	}
	urls := append(urlsOf("http", r.plain), urlsOf("https", r.secure)...)
	all := strings.Join(urls, ", ")
	if len(r.quic.sockets) > 0 {
		all += " with HTTP/3"
	}
	fmt.Fprintf(w, "edge serves on   %s (memory %s, %s)\n", all, formatSize(r.in.store.Stats().Limit), r.diskWords())
	fmt.Fprintf(w, "admin API on     http://%s\n", r.adminListener.Addr())
	fmt.Fprintf(w, "purge a url with %s\n", r.purgeCommand(urls[0]+"/"))
	fmt.Fprintf(w, "access log       %s\n", log)
}

// urlsOf are urls of listeners that work on this machine.
func urlsOf(scheme string, list []net.Listener) (urls []string) {
	for _, l := range list {
		host, port := hostPort(l.Addr().String())
		urls = append(urls, scheme+"://"+net.JoinHostPort(host, port))
	}
	return urls
}

// diskWords say how large the disk tier is, or that there is none.
func (r *running) diskWords() string {
	if r.in.disk == nil {
		return "no disk"
	}
	return "disk " + formatSize(r.in.disk.Stats().Limit)
}

// purgeCommand is a command line that works as it stands on this machine.
func (r *running) purgeCommand(url string) string {
	args := []string{"edge", "purge", "url", url}
	host, port := hostPort(r.adminListener.Addr().String())
	if address := net.JoinHostPort(host, port); address != "127.0.0.1:9145" {
		args = append(args, "--admin", "http://"+address)
	}
	if file := r.settings.admin.tokenFile; file != "" && !environmentToken() {
		args = append(args, "--token-file", file)
	}
	return quoted(args...)
}

func addressesOf(list []net.Listener) []string {
	all := make([]string, len(list))
	for i, l := range list {
		all[i] = l.Addr().String()
	}
	return all
}
