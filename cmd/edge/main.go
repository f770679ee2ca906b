// Command edge is a caching CDN edge proxy in front of any HTTP origin.
//
//	edge --origin http://127.0.0.1:3000
//
// serves that origin on :8080 and takes purges and questions on its admin
// port. edge check proves a configuration, edge purge, top, log and health
// talk to a running edge, and edge bench makes and replays workloads.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// The exit codes.
const (
	exitWell   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// usageError is a command line that cannot be meant.
type usageError struct{ what string }

func (u *usageError) Error() string { return u.what }

// errTold ends the run with exit code 1 when all has been said.
var errTold = errors.New("told already")

// terminal is what a verb writes to: results to stdout, progress and errors to
// stderr.
type terminal struct{ stdout, stderr io.Writer }

// run is the whole command: it parses args, runs the verb, and gives the exit
// code. It ends early when ctx does.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commandLine
	helped := false
	parser, err := kong.New(&c,
		kong.Name("edge"),
		kong.Description("A caching CDN edge proxy.\n\n"+
			"edge --origin http://127.0.0.1:3000 serves that origin on :8080, with the admin API on 127.0.0.1:9145. "+
			"Without a verb edge serves; edge serve --help lists the flags of that."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		fmt.Fprintf(stderr, "edge: %v\n", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if helped {
		return exitWell
	}
	if err == nil {
		parsed.BindTo(ctx, (*context.Context)(nil))
		err = parsed.Run(terminal{stdout, stderr})
	} else {
		err = &usageError{err.Error()}
	}
	return exitCode(err, stderr)
}

func exitCode(err error, stderr io.Writer) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitWell
	case errors.Is(err, errTold):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "edge: %v\nedge --help tells more.\n", err)
		return exitUsage
	}
	fmt.Fprintf(stderr, "edge: %v\n", err)
	return exitFailed
}
