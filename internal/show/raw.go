package show

import (
	"bufio"
	"fmt"

	"pyrr/internal/listing"
	"pyrr/internal/recording"
)

// Raw prints the text form of the format (docs/format.md), which holds
// everything.
type Raw struct {
	W   *bufio.Writer
	buf []byte
}

func (l *Raw) begin(p *recording.Process) error {
	_, err := fmt.Fprintf(l.W, "# process %d\n", p.ID)
	return err
}

func (l *Raw) event(_ *recording.Process, n uint64, ev *recording.Event, _ *listing.View) error {
	l.buf = recording.FormatEvent(l.buf[:0], n, ev)
	_, err := l.W.Write(l.buf)
	return err
}

func (l *Raw) end() error { return nil }
