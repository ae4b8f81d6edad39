package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// dispatchFigures are those of kernels before 6.4: `make dispatch-figures` measures them,
// and writes this file and its section of docs/performance.md.
//
//go:embed dispatch.md
var dispatchFigures string

const dispatchHeading = "Kernels before 6.4"

// buffers are the values of --call-buffer, in the order of the columns.
var buffers = []string{"on", "prctl", "off"}

// measureDispatch measures what the kernel's part in calls without a stop is worth: all
// programs, with Syscall User Dispatch set by ptrace, set by a call in the process, and
// without calls that are not stopped.
func measureDispatch(rounds int, file, only, python string) error {
	dir, err := os.MkdirTemp("", "pyrr-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	text := fmt.Sprintf(`
## %s

Written by `+"`make dispatch-figures`"+`: the processor time of all processes, recorded to native,
medians of %d rounds in which all four runs took turns, on %d processors. *on*: the tracer turns
calls into signals in the process (Linux 6.4 and later); *prctl*: the process itself does, by a
call that is put into it (5.11 to 6.3); *off*: each call stops, as on 5.10 and before. The kernel
is this machine's: what it lacks is taken away by `+"`--call-buffer`"+`.

| work | on | prctl | off |
|---|---:|---:|---:|
`, dispatchHeading, rounds, runtime.NumCPU())
	for _, w := range works {
		if w.tests || !strings.Contains(w.name, only) {
			continue
		}
		native := append([]string{python}, w.argv...)
		measured := map[string][]float64{}
		for range rounds {
			n, err := timed(native)
			if err != nil {
				return err
			}
			for _, how := range buffers {
				r, err := timed(append([]string{"bin/pyrr", "record", "--keep=never", "-o", filepath.Join(dir, "never.pyrr.zip"), "--call-buffer=" + how, "--"}, native...))
				if err != nil {
					return err
				}
				measured[how] = append(measured[how], ratio(r.cpu, n.cpu))
			}
		}
		row := "| " + w.name
		for _, how := range buffers {
			row += fmt.Sprintf(" | %.2f", median(measured[how]))
		}
		fmt.Fprintln(os.Stderr, row)
		text += row + " |\n"
	}
	return writeSection(dispatchHeading, "bench/dispatch.md", file, text)
}
