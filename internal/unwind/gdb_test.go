package unwind_test

import (
	"fmt"
	"os"
	"testing"

	"pyrr/internal/unwind"
	"pyrr/internal/unwind/gdbtest"
)

// TestStacksEqualGDB stops a program in C at arbitrary points, and compares
// its stack with gdb's: functions, inlined ones and those that have left by a
// tail call, source lines, arguments.
func TestStacksEqualGDB(t *testing.T) {
	const python = "/usr/bin/python3.11"
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	n := 20
	c := gdbtest.Comparison{Allow: 1}
	if os.Getenv("PYRR_E2E") == "full" {
		n, c.Allow = 400, 0
	}
	images := &unwind.Files{Find: &unwind.Finder{DebugDirs: []string{unwind.SystemDebugDir}}}
	gdbtest.EachStop(t, n, []string{python, gdbtest.Program(), fmt.Sprint(30 * n), "0.013"}, func(s *gdbtest.Stop) { c.Live(t, images, s) })
	c.Report(t)
}
