package main

import (
	"bufio"
	"fmt"

	"pyrr/internal/recording"
)

// rawList prints the text form of the format (docs/format.md), which holds
// everything.
type rawList struct {
	w   *bufio.Writer
	buf []byte
}

func (l *rawList) begin(p *recording.Proc) error {
	_, err := fmt.Fprintf(l.w, "# process %d\n", p.ID)
	return err
}

func (l *rawList) event(_ *recording.Proc, n uint64, ev *recording.Event, _ *view) error {
	l.buf = recording.FormatEvent(l.buf[:0], n, ev)
	_, err := l.w.Write(l.buf)
	return err
}

func (l *rawList) end() error { return nil }
