// Package program is what the programs of bench have in common: how they begin,
// what they say of wrong usage, and how a kept result is headed.
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// Run is a program: it returns the exit code, 0 all was as it must be, 1 it was
// not, 2 wrong usage.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) int

// Main runs a program until it ends or is interrupted, and exits.
func Main(run Run) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Parse reads flags; there are no other arguments.
func Parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return nil
}

// Usage says what Parse, or a check behind it, has found wrong, and returns the
// exit code.
func Usage(name string, err error, stderr io.Writer) int {
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return 2
}

// Result prints what was found, also when err cut it short, and otherwise keeps it under its
// heading in the file out, unless that is "". It returns the exit code.
func Result(name, out, heading, text string, err error, stdout, stderr io.Writer) int {
	fmt.Fprint(stdout, text)
	if err == nil && out != "" {
		err = os.WriteFile(out, []byte(heading+text), 0o644)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

// Machine is when and on what a result came about.
func Machine(now time.Time) string {
	return fmt.Sprintf("%s  %s  %s/%s  %d cores",
		now.UTC().Format(time.RFC3339), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
}
