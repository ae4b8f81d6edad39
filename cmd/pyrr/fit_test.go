package main

import (
	"bytes"
	"strings"
	"testing"

	"pyrr/internal/printable"
)

// TestHelpFits holds that no help is wider than a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	for _, name := range append(commands().Names(), "") {
		var out bytes.Buffer
		if name == "" {
			commands().Overview(&out)
		} else {
			commands().Find(name).PrintHelp(&out)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := printable.Columns(line); n > 80 {
				t.Errorf("help %s: %d columns: %s", name, n, line)
			}
			if strings.HasSuffix(line, " ") {
				t.Errorf("help %s: blanks at the end of %q", name, line)
			}
		}
	}
}
