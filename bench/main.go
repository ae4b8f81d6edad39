// Command bench measures what recording and replaying cost, as ratios to the
// native run in the same session, and writes docs/performance.md.
//
// Native, recorded and replayed runs take turns, so that a busy moment of the
// machine falls on all of them; the table holds medians.
package main

import (
	_ "embed"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// work is a program to measure.
type work struct {
	name string
	argv []string // after the interpreter
	// cpu: it counts for the geometric mean of computing programs.
	cpu bool
	// target is the ratio of processor time to reach for recording, 0 for none.
	target float64
	// tests: it is recorded test by test, of which nothing is kept here.
	tests bool
}

var works = []work{
	{"nothing", []string{"bench/programs/nothing.py"}, false, 0, false},
	{"CPU loop", []string{"bench/programs/loop.py"}, true, 0, false},
	{"fib", []string{"bench/programs/fib.py"}, true, 0, false},
	{"json", []string{"bench/programs/json_round.py"}, true, 0, false},
	{"sort and dict", []string{"bench/programs/sort_dict.py"}, true, 0, false},
	{"import requests", []string{"bench/programs/import_requests.py"}, false, 1.3, false},
	{"51-test HTTP suite", []string{"-m", "pytest", "-q", "-p", "no:cacheprovider", "fixtures/http_suite"}, false, 1.12, false},
	{"the same, test by test", []string{"-m", "pytest", "-q", "-p", "no:cacheprovider", "fixtures/http_suite"}, false, 1.15, true},
	{"two CPU threads", []string{"bench/programs/two_threads.py"}, false, 1.25, false},
	{"busy-wait", []string{"bench/programs/busy_wait.py"}, false, 0, false},
	{"20,000 os.stat", []string{"bench/programs/os_stat.py"}, false, 12, false},
	{"50,000 clock reads", []string{"bench/programs/clock_reads.py"}, false, 3, false},
	{"asyncio echo, 6,000 round trips", []string{"bench/programs/asyncio_echo.py"}, false, 1.5, false},
	{"logging, 20,000 lines to a file", []string{"bench/programs/log_lines.py"}, false, 1.3, false},
	{"100,000 pread of os.open's descriptor", []string{"bench/programs/pread_fd.py"}, false, 2.0, false},
	{"sqlite, 1,500 transactions", []string{"bench/programs/sqlite_rows.py"}, false, 1.4, false},
	{"file walk", []string{"bench/programs/file_walk.py"}, false, 1.4, false},
	{"2,000 small files", []string{"bench/programs/small_files.py"}, false, 1.4, false},
	{"queue ping", []string{"bench/programs/queue_ping.py"}, false, 1.4, false},
	{"subprocesses", []string{"bench/programs/subprocesses.py"}, false, 0, false},
	{"pool of 2 CPU workers", []string{"bench/programs/cpu_pool.py"}, false, 1.3, false},
	{"pool of 2, 1,500 small tasks", []string{"bench/programs/mp_pool.py"}, false, 2.0, false},
	{"100,000 pread beside a shared lock", []string{"bench/programs/shared_lock.py"}, false, 2.0, false},
	{"60 spawned `true`", []string{"bench/programs/spawn_true.py"}, false, 1.6, false},
	{"12 spawned Pythons", []string{"bench/programs/spawn_python.py"}, false, 1.6, false},
	{"500 threads", []string{"bench/programs/thread_start.py"}, false, 0, false},
	{"thread-pool HTTP", []string{"bench/programs/http_pool.py"}, false, 1.4, false},
	{"import numpy", []string{"bench/programs/import_numpy.py"}, false, 1.3, false},
}

// row is what was measured of one program.
type row struct {
	work
	native, record, replay time.Duration // medians
	recordRatio            float64       // median over rounds
	cpuRatio               float64       // the same, of the processor time of all processes
	straceRatio            float64       // and of strace -f; 0 without one
	replayRatio            float64       // to native
	ofRecording            float64       // replay to recording
	packed                 int64
	memory                 int64 // of the recorder, KiB
}

func main() {
	rounds := pflag.IntP("rounds", "n", 5, "runs of each kind")
	only := pflag.String("only", "", "only programs whose name contains this")
	out := pflag.String("output", "docs/performance.md", "file to write, - for standard output")
	python := pflag.String("python", "", "interpreter (default the tests' virtual environment)")
	processes := pflag.Bool("processes", false, "only the figures of many processes, written into their section of the file")
	dispatch := pflag.Bool("dispatch", false, "only the figures of kernels before 6.4, written into their section of the file")
	pflag.Parse()
	err := func() error {
		if *processes {
			return measureProcesses(*rounds, *out)
		}
		interpreter, err := interpreter(*python)
		if err != nil {
			return err
		}
		if *dispatch {
			return measureDispatch(*rounds, *out, *only, interpreter)
		}
		return run(*rounds, *only, *out, interpreter)
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// interpreter is the one that was asked for, or that of the tests' virtual environment.
func interpreter(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	b, err := exec.Command("scripts/venv.sh").Output()
	if err != nil {
		return "", fmt.Errorf("make the virtual environment: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(b)), "bin/python"), nil
}

func run(rounds int, only, out, python string) error {
	dir, err := os.MkdirTemp("", "pyrr-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var rows []row
	for _, w := range works {
		if !strings.Contains(w.name, only) {
			continue
		}
		r, err := measure(w, python, dir, rounds)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		fmt.Fprintf(os.Stderr, "%-36s native %8v  record %.2f, processor time %.2f  replay %.2f\n", w.name, r.native.Round(time.Millisecond),
			r.recordRatio, r.cpuRatio, r.replayRatio)
		rows = append(rows, r)
	}
	kept, err := costOfKeeping(python, dir, rounds)
	if err != nil {
		return err
	}
	text := table(rows, rounds, python) + kept + notes + floors(dir)
	if only == "" {
		all, err := goBench()
		if err != nil {
			return err
		}
		text += all.table()
	}
	if out == "-" {
		_, err = os.Stdout.WriteString(text)
		return err
	}
	return os.WriteFile(out, []byte(text), 0o666)
}

func measure(w work, python, dir string, rounds int) (row, error) {
	r := row{work: w}
	zip := filepath.Join(dir, "x.pyrr.zip")
	native := append([]string{python}, w.argv...)
	record := append([]string{"bin/pyrr", "record", "--keep=never", "-o", filepath.Join(dir, "never.pyrr.zip"), "--"}, native...)
	keep := append([]string{"bin/pyrr", "record", "--verify=none", "-o", zip, "--"}, native...)
	replay := []string{"bin/pyrr", "replay", "--batch", zip}
	if w.tests {
		// --keep timeout, as in CI: each test begins with an image of the process.
		record = append([]string{"bin/pyrr", "record", "--keep=timeout", "-o", filepath.Join(dir, "tests"), "--timeout=60s", "--"}, native...)
	} else if _, err := timed(keep); err != nil { // also warms caches
		return r, err
	}
	if st, err := os.Stat(zip); err == nil {
		r.packed = st.Size()
	}
	strace, _ := exec.LookPath("strace")
	var n, c, p []time.Duration
	var cr, ur, sr, pr, pc []float64
	for range rounds {
		a, err := timed(native)
		if err != nil {
			return r, err
		}
		b, err := timed(record)
		if err != nil {
			return r, err
		}
		var d took
		if !w.tests {
			if d, err = timed(replay); err != nil {
				return r, err
			}
		}
		if strace != "" && !w.tests {
			s, err := timed(append([]string{strace, "-f", "-o", "/dev/null"}, native...))
			if err != nil {
				return r, err
			}
			sr = append(sr, ratio(s.cpu, a.cpu))
		}
		r.memory = max(r.memory, b.memory)
		n, c, p = append(n, a.wall), append(c, b.wall), append(p, d.wall)
		cr, ur, pr, pc = append(cr, ratio(b.wall, a.wall)), append(ur, ratio(b.cpu, a.cpu)), append(pr, ratio(d.wall, a.wall)), append(pc, ratio(d.wall, b.wall))
	}
	r.native, r.record, r.replay = median(n), median(c), median(p)
	r.recordRatio, r.cpuRatio, r.replayRatio, r.ofRecording = median(cr), median(ur), median(pr), median(pc)
	if len(sr) > 0 {
		r.straceRatio = median(sr)
	}
	return r, nil
}

// took is what a command took: the time, the processor time of it and all that it
// waited for, and its largest memory in KiB.
type took struct {
	wall, cpu time.Duration
	memory    int64
}

// timed runs a command.
func timed(argv []string) (took, error) {
	if argv[0] == "bin/pyrr" && argv[1] == "record" {
		os.Remove(argv[4])
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	began := time.Now()
	err := cmd.Run()
	t := took{wall: time.Since(began)}
	if err != nil {
		return t, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, stderr.String())
	}
	t.cpu, t.memory = cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), maxRSS(cmd)
	return t, nil
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, 1)) }

// floors measures what a system call costs at least, by a program in C; it is empty
// where there is no compiler.
func floors(dir string) string {
	bin := filepath.Join(dir, "floors")
	if err := exec.Command("cc", "-O2", "-o", bin, "bench/floors/floors.c").Run(); err != nil {
		return ""
	}
	out, err := exec.Command(bin).Output()
	if err != nil {
		return ""
	}
	says := map[string]string{
		"native": "made natively", "signal": "turned into a signal, with a handler in the process",
		"stop": "stopped once by a tracer (SYSEMU, as in a replay)", "stops": "stopped at its entry and its exit",
	}
	text := "\nWhat a system call costs at least on this machine, measured in the same run\n([bench/floors](../bench/floors/floors.c)):\n\n| a call | µs |\n|---|---:|\n"
	for line := range strings.Lines(string(out)) {
		var name string
		var ns float64
		if _, err := fmt.Sscan(line, &name, &ns); err == nil && says[name] != "" {
			text += fmt.Sprintf("| %s | %.2f |\n", says[name], ns/1000)
		}
	}
	return text
}

func median[T int64 | float64 | time.Duration](v []T) T {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

func table(rows []row, rounds int, python string) string {
	var b strings.Builder
	version, _ := exec.Command(python, "-V").Output()
	fmt.Fprintf(&b, `# What recording and replaying cost

Written by `+"`make bench`"+`. Medians of %d rounds in which the native, the recorded and
the replayed run took turns, on %d cores, %s (%s).
Ratios are to the native run of the same round. *record* is the run under
`+"`pyrr record`"+` as a passing test sees it (`+"`--keep never`"+`); keeping a recording adds a
replay and the packing. *processor* is the processor time of all processes, pyrr's
among them, to the native one: what is to be reached is of that. It stands beside that
of `+"`strace -f -o /dev/null`"+`, which many know.

| work | native | record | processor | to reach | strace -f | replay | replay of recording | recording, packed | recorder's memory |
|---|---|---|---|---|---|---|---|---|---|
`, rounds, runtime.NumCPU(), strings.TrimSpace(string(version)), runtime.GOARCH)
	product, n := 1.0, 0
	for _, r := range rows {
		target := ""
		if r.target > 0 {
			target = fmt.Sprintf("≤ %.2f", r.target)
		}
		replayed := fmt.Sprintf("%.2f | %.2f | %.1f MB", r.replayRatio, r.ofRecording, float64(r.packed)/1e6)
		if r.tests {
			replayed = "| |"
		}
		strace := ""
		if r.straceRatio > 0 {
			strace = fmt.Sprintf("%.2f", r.straceRatio)
		}
		fmt.Fprintf(&b, "| %s | %d ms | %.2f | %.2f | %s | %s | %s | %d MB |\n", r.name, r.native.Milliseconds(),
			r.recordRatio, r.cpuRatio, target, strace, replayed, r.memory>>10)
		if r.cpu {
			product *= r.recordRatio
			n++
		}
	}
	if n > 0 {
		fmt.Fprintf(&b, "\nGeometric mean of the computing programs (CPU loop, fib, json, sort and dict): %.2f (to reach: ≤ 1.15).\n", math.Pow(product, 1/float64(n)))
	}
	for _, r := range rows {
		if r.name == "nothing" {
			fmt.Fprintf(&b, "\nFixed cost of a recording: %d ms (to reach: ≤ 8 ms).\n", (r.record - r.native).Milliseconds())
		}
	}
	return b.String()
}

// costOfKeeping is what a program that does nothing takes longer where its recording is
// kept, with the replay that verifies it.
func costOfKeeping(python, dir string, rounds int) (string, error) {
	native := []string{python, "bench/programs/nothing.py"}
	kept := append([]string{"bin/pyrr", "record", "--keep=always", "-o", filepath.Join(dir, "kept.pyrr.zip"), "--"}, native...)
	var more []time.Duration
	for range rounds {
		a, err := timed(native)
		if err != nil {
			return "", err
		}
		b, err := timed(kept)
		if err != nil {
			return "", err
		}
		more = append(more, b.wall-a.wall)
	}
	return fmt.Sprintf("\nOf one that is kept and verified: %d ms (to reach: ≤ 60 ms).\n", median(more).Milliseconds()), nil
}

// notes say why what is above its target is: written by hand, of the table that was
// measured last.
//
//go:embed notes.md
var notes string
