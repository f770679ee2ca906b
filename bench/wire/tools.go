package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// packages says which Debian package each command comes in.
var packages = map[string]string{
	"nginx": "nginx-light", "varnishd": "varnish", "varnishncsa": "varnish",
	"wrk": "wrk", "h2load": "nghttp2-client", "taskset": "util-linux",
}

// missing are commands that are not there, in order.
func missing(commands []string, look func(string) (string, error)) (absent []string) {
	for _, c := range commands {
		if _, err := look(c); err != nil && !slices.Contains(absent, c) {
			absent = append(absent, c)
		}
	}
	slices.Sort(absent)
	return absent
}

// packagesOf are the packages to install for commands.
func packagesOf(commands []string) (names []string) {
	for _, c := range commands {
		if p := packages[c]; !slices.Contains(names, p) {
			names = append(names, p)
		}
	}
	slices.Sort(names)
	return names
}

// provide installs what is missing, if it may. Debian may start a service that it
// installs; whether it is stopped is for the machine's owner to say.
func provide(ctx context.Context, commands []string, said io.Writer) error {
	absent := missing(commands, exec.LookPath)
	if len(absent) == 0 {
		return nil
	}
	names := packagesOf(absent)
	hint := fmt.Errorf("missing: %s; as root on Debian: apt-get install %s", strings.Join(absent, ", "), strings.Join(names, " "))
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return hint
	}
	fmt.Fprintf(said, "wire: installing %s (its service may be started by that; stop it if it is)\n", strings.Join(names, " "))
	for _, args := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-y", "-qq", "--no-install-recommends"}, names...),
	} {
		c := exec.CommandContext(ctx, "apt-get", args...)
		c.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := c.CombinedOutput(); err != nil {
			return errors.Join(hint, fmt.Errorf("apt-get %s: %w\n%s", args[0], err, out))
		}
	}
	if len(missing(commands, exec.LookPath)) > 0 {
		return hint
	}
	return nil
}
