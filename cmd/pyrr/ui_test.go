package main

import (
	"strings"
	"testing"
)

// TestStatusLine holds that the status line appears on a terminal only, and
// is gone before anything else is printed.
func TestStatusLine(t *testing.T) {
	var b strings.Builder
	u := &ui{err: &b, width: 10}
	u.status("quiet")
	if b.Len() != 0 {
		t.Errorf("without a terminal: %q", b.String())
	}
	u.live = true
	u.status("0123456789ABC")
	u.status("too soon")
	u.note("done")
	if got, want := b.String(), "\r\x1b[K012345678\r\x1b[Kpyrr: done\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
