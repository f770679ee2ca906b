package bench

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress shows how far a run is, on a terminal and nowhere else. A nil
// Progress shows nothing; it is safe for many goroutines.
type Progress struct {
	bar *progressbar.ProgressBar
}

// NewProgress shows a bar of total steps on w, if w is a terminal.
func NewProgress(w io.Writer, total int, what string) *Progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &Progress{progressbar.NewOptions(total,
		progressbar.OptionSetWriter(f),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// Step counts one step.
func (p *Progress) Step() {
	if p != nil {
		p.bar.Add(1)
	}
}

// Done takes the bar off the screen.
func (p *Progress) Done() {
	if p != nil {
		p.bar.Finish()
	}
}
