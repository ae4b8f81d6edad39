package capture

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
)

// These are figures of a quiet machine: `make process-figures` writes them to
// docs/performance.md.

// cost is what a tracer needed for a recording.
type cost struct {
	processor time.Duration // of its thread
	locks     time.Duration // that any goroutine waited for a lock
	stops     uint64
}

// recordBusy records a program, and returns what it prints and what that took.
func recordBusy(b *testing.B, code string, o Options) (dir, printed string, c cost) {
	b.Helper()
	dir = b.TempDir()
	c = recordFor(b, dir, busyProgram(b, dir, code), o)
	return dir, readOut(b, dir), c
}

// recordFor records a command into a folder.
func recordFor(b *testing.B, dir string, argv []string, o Options) (c cost) {
	b.Helper()
	o.Command, o.Dir, o.Slice, o.Warn = argv, filepath.Join(dir, "x.pyrr.part"), defaultSlice, func(s string) { b.Log(s) }
	locks := lockWaits()
	_, err := recordBy(&o, dir, func(r *recorder) (*Info, error) {
		info, err := r.run(context.Background(), argv[0])
		c.processor, c.stops = threadTime(b), r.waits.Turns()
		return info, err
	})
	if err != nil {
		b.Fatal(err)
	}
	c.locks = lockWaits() - locks
	return c
}

func busyProgram(b *testing.B, dir, code string) []string {
	b.Helper()
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		b.Skip(err)
	}
	prog := filepath.Join(dir, "p.py")
	if err := os.WriteFile(prog, []byte(busyFor+code), 0o666); err != nil {
		b.Fatal(err)
	}
	return []string{"/bin/sh", "-c", "exec " + python + " -I -S " + prog + " > " + filepath.Join(dir, "out")}
}

func readOut(b *testing.B, dir string) string {
	b.Helper()
	out, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		b.Fatal(err)
	}
	return string(out)
}

func threadTime(b *testing.B) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		b.Error(err)
	}
	return time.Duration(ts.Nano())
}

func lockWaits() time.Duration {
	s := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(s)
	return time.Duration(s[0].Value.Float64() * float64(time.Second))
}

// spread is how far the numbers that a program printed are from their mean, at most,
// in percent.
func spread(b *testing.B, printed string) float64 {
	b.Helper()
	var all []float64
	mean := 0.0
	for _, w := range strings.Fields(printed) {
		n, err := strconv.ParseFloat(w, 64)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, n)
		mean += n
	}
	mean /= float64(len(all))
	most := 0.0
	for _, n := range all {
		most = max(most, math.Abs(n-mean))
	}
	b.Logf("rounds %s", strings.TrimSpace(printed))
	return 100 * most / mean
}

// BenchmarkEqualProcesses: six processes of equal work, for five seconds.
func BenchmarkEqualProcesses(b *testing.B) {
	const code = "start = time.monotonic() + 1\nkids = busy(6, start, start + 5)\nprint(*[int(os.read(r, 100)) for _, r in kids])\n"
	for range b.N {
		dir := b.TempDir()
		argv := busyProgram(b, dir, code)
		if err := exec.Command(argv[0], argv[1:]...).Run(); err != nil {
			b.Fatal(err)
		}
		native := spread(b, readOut(b, dir))
		_, printed, _ := recordBusy(b, code, Options{})
		b.ReportMetric(native, "native-%")
		b.ReportMetric(spread(b, printed), "recorded-%")
	}
}

// BenchmarkTimeoutOfBusyProcesses: how late a time-out is for the last of 12 processes
// that are busy, and their parent.
func BenchmarkTimeoutOfBusyProcesses(b *testing.B) {
	const limit = 2 * time.Second
	late := 0.0
	for range b.N {
		dir, _, _ := recordBusy(b, "busy(12, 0, time.monotonic() + 30)\nwhile True: os.wait()\n", Options{Timeout: limit, Kill: true})
		procs := readEvents(b, dir, func(ev *recording.Event) {
			if ev.Kind == recording.KindTimeout {
				late = max(late, float64(time.Duration(ev.Time)-limit)/float64(time.Millisecond))
			}
		})
		if procs != 13 {
			b.Errorf("%d processes", procs)
		}
	}
	b.ReportMetric(late, "ms-late")
}

// BenchmarkStop measures the tracer's own processor time for a stop, and how long the
// recorder waits for its locks meanwhile, as a share of the time that it runs.
func BenchmarkStop(b *testing.B) {
	for _, n := range []int{1, 2, 8} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var all cost
			for range b.N {
				_, _, c := recordBusy(b, "end = time.monotonic() + 3\nfor _, r in busy("+strconv.Itoa(n)+", 0, end): os.read(r, 100)\n", Options{})
				all.processor, all.locks, all.stops = all.processor+c.processor, all.locks+c.locks, all.stops+c.stops
			}
			b.ReportMetric(float64(all.processor.Nanoseconds())/1000/float64(all.stops), "µs/stop")
			b.ReportMetric(float64(all.locks.Nanoseconds())/1000/float64(all.stops), "µs-locks/stop")
			b.ReportMetric(float64(all.stops)/float64(b.N)/1000, "kstops")
		})
	}
}

// BenchmarkTracerOfWorkers: how much of a processor the tracer needs for each of two
// workers of pytest, while they run. One tracer is enough for a hundred divided by that.
func BenchmarkTracerOfWorkers(b *testing.B) {
	out, err := exec.Command("../scripts/venv.sh", "pytest").Output()
	if err != nil {
		b.Skip("no virtual environment of pytest: ", err)
	}
	tests := "exec " + filepath.Join(strings.TrimSpace(string(out)), "bin/python") + " -m pytest -q -p no:cacheprovider -n2 ../bench/programs/pytest_work.py > "
	var all cost
	var wall time.Duration
	for range b.N {
		dir := b.TempDir()
		began := time.Now()
		c := recordFor(b, dir, []string{"/bin/sh", "-c", tests + filepath.Join(dir, "out") + " 2>&1"}, Options{})
		wall += time.Since(began)
		all.processor, all.stops = all.processor+c.processor, all.stops+c.stops
	}
	b.ReportMetric(100*all.processor.Seconds()/wall.Seconds()/2, "%-a-worker")
	b.ReportMetric(float64(all.stops)/wall.Seconds()/2, "stops/s-a-worker")
}
