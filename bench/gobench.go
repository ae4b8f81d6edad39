package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// figure is a number that a Go benchmark reports.
type figure struct {
	what   string
	pkg    string
	bench  string // as go test -bench names it, without the suffix for processors
	unit   string // ns/op, or one of the benchmark's own
	scale  float64
	format string
	target string
	// over is a benchmark to whose result this one is a ratio.
	over string
}

// figures are those of reading stacks, checking and travelling, which are
// parts of pyrr rather than programs under it.
var figures = []figure{
	{what: "a Python stack of 30 frames, of a stopped thread", pkg: "./cpython", bench: "BenchmarkStack30/debian-3.11/known", unit: "ns/op", scale: 1e-3, format: "%.0f µs", target: "≤ 150 µs"},
	{what: "the same, with code objects never seen before", pkg: "./cpython", bench: "BenchmarkStack30/debian-3.11/new", unit: "ns/op", scale: 1e-3, format: "%.0f µs"},
	{what: "the C stack under it, modules loaded", pkg: "./internal/unwind", bench: "BenchmarkWalk", unit: "ns/op", scale: 1e-3, format: "%.0f µs", target: "≤ 1 ms with the Python stack"},
	{what: "both merged, with the names of all functions", pkg: "./cpython", bench: "BenchmarkMerged/debian-3.11", unit: "ns/op", scale: 1e-3, format: "%.0f µs", target: "≤ 1 ms"},
	{what: "a replay that makes the index of the HTTP suite's recording, to a plain replay", pkg: "./cmd/pyrr", bench: "BenchmarkIndex/index", over: "BenchmarkIndex/replay", unit: "ns/op", scale: 1, format: "%.2f", target: "≤ 1.50"},
	{what: "the same, to a replay that stops at each event", pkg: "./cmd/pyrr", bench: "BenchmarkIndex/index", over: "BenchmarkIndex/stops", unit: "ns/op", scale: 1, format: "%.2f"},
	{what: "the index's part of that recording: stacks", pkg: "./cmd/pyrr", bench: "BenchmarkIndex/index", unit: "stacks-%", scale: 1, format: "%.1f %%", target: "≤ 15 %"},
	{what: "and the sources of the Python files that ran", pkg: "./cmd/pyrr", bench: "BenchmarkIndex/index", unit: "sources-%", scale: 1, format: "%.1f %%"},
	{what: "check of 200 recordings by five expectations, from the index", pkg: "./cmd/pyrr", bench: "BenchmarkCheckIndexed", unit: "recordings/s", scale: 1, format: "%.0f recordings/s", target: "≥ 100"},
	{what: "memory while that runs", pkg: "./cmd/pyrr", bench: "BenchmarkCheckIndexed", unit: "MiB", scale: 1, format: "%.0f MiB", target: "≤ 200 MiB"},
	{what: "check of a spec with Python breakpoints, to a plain replay", pkg: "./cmd/pyrr", bench: "BenchmarkCheckExecuted", unit: "x-replay", scale: 1, format: "%.2f", target: "≤ 1.50"},
	{what: "replay with a Python breakpoint that is not hit, to one without: a program that computes", pkg: "./replay", bench: "BenchmarkMiss/compute", unit: "miss", scale: 1, format: "%.2f", target: "≤ 1.10"},
	{what: "the same: one that imports much of the standard library", pkg: "./replay", bench: "BenchmarkMiss/import", unit: "miss", scale: 1, format: "%.2f", target: "≤ 1.10"},
	{what: "hits of a Python line that are counted", pkg: "./replay", bench: "BenchmarkHits/counted", unit: "hits/s", scale: 1, format: "%.0f a second", target: "≥ 20,000"},
	{what: "lines that pyrr print makes of two expressions each, per second of processor time", pkg: "./cmd/pyrr", bench: "BenchmarkAsk/print", unit: "lines/s", scale: 1, format: "%.0f", target: "≥ 3,000"},
	{what: "the same, by wall time", pkg: "./cmd/pyrr", bench: "BenchmarkAsk/print", unit: "lines/wall-s", scale: 1, format: "%.0f", target: "≥ 3,000"},
	{what: "pyrr profile, which counts each instruction, to a plain replay: a program that computes", pkg: "./cmd/pyrr", bench: "BenchmarkAsk/profile", unit: "x-replay", scale: 1, format: "%.2f"},
	{what: "hits of a Python line at which a session stops", pkg: "./replay", bench: "BenchmarkHits/stops", unit: "hits/s", scale: 1, format: "%.0f a second", target: "≥ 5,000"},
	{what: "a session's first run through a recording of ten seconds, to a replay", pkg: "./replay", bench: "BenchmarkTravel", unit: "first", scale: 1, format: "%.2f", target: "≤ 1.20"},
	{what: "then to an instruction at random, median", pkg: "./replay", bench: "BenchmarkTravel", unit: "ms/goto", scale: 1, format: "%.0f ms", target: "≤ 500 ms"},
	{what: "reverse-step by a line, median", pkg: "./replay", bench: "BenchmarkTravel", unit: "ms/reverse-step", scale: 1, format: "%.0f ms", target: "≤ 50 ms"},
}

// measured are the results of benchmarks: name, then unit.
type measured map[string]map[string]float64

// goBench runs the benchmarks that figures name, package by package.
func goBench() (measured, error) {
	names := map[string][]string{}
	var order []string
	for _, f := range figures {
		top, _, _ := strings.Cut(f.bench, "/")
		if names[f.pkg] == nil {
			order = append(order, f.pkg)
		}
		if !strings.Contains(strings.Join(names[f.pkg], "|"), top) {
			names[f.pkg] = append(names[f.pkg], top)
		}
	}
	all := measured{}
	for _, pkg := range order {
		cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^("+strings.Join(names[pkg], "|")+")$", pkg)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
		}
		all.read(out)
	}
	return all, nil
}

// read takes the lines of results: a name, the number of rounds, then pairs of
// value and unit (golang.org/design/14313-benchmark-format).
func (m measured) read(out []byte) {
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 4 || !strings.HasPrefix(f[0], "Benchmark") {
			continue
		}
		name := f[0]
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i] // the number of processors
		}
		units := map[string]float64{}
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i], 64); err == nil {
				units[f[i+1]] = v
			}
		}
		m[name] = units
	}
}

// table renders the figures that were measured.
func (m measured) table() string {
	var b strings.Builder
	b.WriteString("\n## Reading, checking and travelling\n\nGo benchmarks, run one after the other.\n\n| what | measured | to reach |\n|---|---|---|\n")
	for _, f := range figures {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.what, m.text(f), f.target)
	}
	b.WriteString(processFigures + dispatchFigures + pageFigures + attaching)
	return b.String()
}

// text is a figure as it was measured.
func (m measured) text(f figure) string {
	v, ok := m[f.bench][f.unit]
	if !ok {
		return "not measured here"
	}
	v *= f.scale
	if f.over != "" {
		v /= m[f.over][f.unit]
	}
	return fmt.Sprintf(f.format, v)
}

// pageFigures is what the page about a recording costs, which no benchmark measures: it
// takes a browser. scripts/page-figures.sh writes it.
//
//go:embed page.md
var pageFigures string

// attaching says where to look: that is measured as docs/attach.md says.
const attaching = `
## Attaching

For how long a process that runs already stands still when pyrr attaches to it is in
[attach.md](attach.md#for-how-long-it-stands-still): 3.0 ms for an instant of 100 threads.
`
