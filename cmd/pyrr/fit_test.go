package main

import (
	"bytes"
	"strings"
	"testing"

	"pyrr/internal/printable"
)

// TestHelpFits holds that no help is wider than a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	for _, name := range append(commandNames(), "") {
		var out bytes.Buffer
		if name == "" {
			printOverview(&out)
		} else {
			findCommand(name).printHelp(&out)
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
