package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// processFigures are those of many processes at once, of a quiet machine:
// `make process-figures` measures them, and writes this file and its section of
// docs/performance.md.
//
//go:embed processes.md
var processFigures string

// processBenchmarks are the figures that Go benchmarks of package capture report.
var processBenchmarks = []figure{
	{what: "six equal processes, each busy with system calls: the farthest from the mean of their rounds", bench: "BenchmarkEqualProcesses", unit: "recorded-%", scale: 1, format: "%.1f %%", target: "≤ 10 %"},
	{what: "the same without pyrr", bench: "BenchmarkEqualProcesses", unit: "native-%", scale: 1, format: "%.1f %%"},
	{what: "a time-out, for the last of 12 busy processes", bench: "BenchmarkTimeoutOfBusyProcesses", unit: "ms-late", scale: 1, format: "%.0f ms late", target: "≤ 200 ms"},
	{what: "the tracer's own processor time for a stop, one busy process", bench: "BenchmarkStop/1", unit: "µs/stop", scale: 1, format: "%.1f µs"},
	{what: "the same, 2 busy processes", bench: "BenchmarkStop/2", unit: "µs/stop", scale: 1, format: "%.1f µs"},
	{what: "the same, 8 busy processes", bench: "BenchmarkStop/8", unit: "µs/stop", scale: 1, format: "%.1f µs"},
	{what: "time in locks for a stop, 2 busy processes", bench: "BenchmarkStop/2", unit: "µs-locks/stop", scale: 1, format: "%.3f µs"},
	{what: "the same, 8 busy processes", bench: "BenchmarkStop/8", unit: "µs-locks/stop", scale: 1, format: "%.3f µs"},
	{what: "the tracer's part of a processor for each worker of `pytest -n 2`", bench: "BenchmarkTracerOfWorkers", unit: "%-a-worker", scale: 1, format: "%.1f %%"},
	{what: "stops a second of each", bench: "BenchmarkTracerOfWorkers", unit: "stops/s-a-worker", scale: 1, format: "%.0f"},
}

// measureProcesses measures the figures of many processes. It writes them to the
// file, and for the next table of all, unless file is "-".
func measureProcesses(rounds int, file string) error {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", "^Benchmark(EqualProcesses|TimeoutOfBusyProcesses|Stop|TracerOfWorkers)$", "-benchtime", fmt.Sprintf("%dx", min(rounds, 3)), "./capture")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	all := measured{}
	all.read(out)
	b, err := exec.Command("scripts/venv.sh", "pytest").Output()
	if err != nil {
		return fmt.Errorf("make the virtual environment of pytest: %w", err)
	}
	python := filepath.Join(strings.TrimSpace(string(b)), "bin/python")
	serial, two, err := measureWorkers(python, "1", rounds)
	if err != nil {
		return err
	}
	longSerial, longTwo, err := measureWorkers(python, "12", rounds)
	if err != nil {
		return err
	}
	load := "unknown"
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(b), " ")
	}
	text := fmt.Sprintf("\n## Many processes\n\nWritten by `make process-figures`, on %d processors, at a load of %s afterwards\n"+
		"(with that of the measured processes). Ratios are medians of %d.\n\n| what | measured | to reach |\n|---|---|---|\n", runtime.NumCPU(), load, rounds)
	for _, f := range processBenchmarks {
		text += fmt.Sprintf("| %s | %s | %s |\n", f.what, all.text(f), f.target)
	}
	text += workersRows("24 tests that compute for 30 ms each, less than starting two workers takes", serial, two)
	text += workersRows("24 tests that compute for 0.4 s each", longSerial, longTwo)
	text += "\nOne tracer takes all stops: its part of a processor for each worker says for how many it is enough.\n"
	return writeSection("Many processes", "bench/processes.md", file, text)
}

// workersRows are the table's rows of one suite.
func workersRows(suite string, serial, two ratios) string {
	return fmt.Sprintf("| pytest, %s, recorded to native: wall time | %.2f |  |\n", suite, serial.wall) +
		fmt.Sprintf("| the same with `-n 2` | %.2f | ≤ %.2f |\n", two.wall, serial.wall+0.05) +
		fmt.Sprintf("| their processor time: serial, and with `-n 2` | %.2f, %.2f |  |\n", serial.cpu, two.cpu)
}

// ratios are those of recorded runs to native ones.
type ratios struct{ wall, cpu float64 }

// measureWorkers runs a suite of tests, which each do so much work, in one process and by
// two workers of pytest-xdist. All kinds of runs take turns.
func measureWorkers(python, work string, rounds int) (serial, two ratios, err error) {
	dir, err := os.MkdirTemp("", "pyrr-bench-")
	if err != nil {
		return serial, two, err
	}
	defer os.RemoveAll(dir)
	if err := os.Setenv("WORK", work); err != nil { // for the tests
		return serial, two, err
	}
	var wall, cpu [2][]float64
	for range rounds {
		for i, workers := range []string{"-pno:xdist", "-n2"} {
			argv := []string{python, "-m", "pytest", "-q", "-p", "no:cacheprovider", workers, "bench/programs/pytest_work.py"}
			native, err := timed(argv)
			if err != nil {
				return serial, two, err
			}
			recorded, err := timed(append([]string{"bin/pyrr", "record", "--keep=never", "-o", filepath.Join(dir, "never.pyrr.zip"), "--"}, argv...))
			if err != nil {
				return serial, two, err
			}
			fmt.Fprintf(os.Stderr, "pytest %-10s native %v, recorded %v\n", workers, native.wall, recorded.wall)
			wall[i] = append(wall[i], ratio(recorded.wall, native.wall))
			cpu[i] = append(cpu[i], ratio(recorded.cpu, native.cpu))
		}
	}
	return ratios{median(wall[0]), median(cpu[0])}, ratios{median(wall[1]), median(cpu[1])}, nil
}
