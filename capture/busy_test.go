package capture

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pyrr/internal/recording"
	"pyrr/internal/setup"
	"pyrr/internal/sys"
)

// busyFor is code by which n children make system calls that all stop, until a
// time, and write how often they came round.
const busyFor = `import os, sys, threading, time
def busy(n, start, end):
    kids = []
    for i in range(n):
        r, w = os.pipe()
        pid = os.fork()
        if pid == 0:
            while time.monotonic() < start: os.getppid()
            k = 0
            while time.monotonic() < end:
                os.getppid(); os.sched_getaffinity(0); os.nice(0)
                k += 1
            os.write(w, b"%d" % k)
            os._exit(0)
        os.close(w)
        kids.append((pid, r))
    return kids
`

// runPython records a program; what it prints is in the file "out" of the folder
// that it runs in.
func runPython(t *testing.T, code string, o Options) (info *Info, dir string) {
	t.Helper()
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip(err)
	}
	dir = t.TempDir()
	prog := filepath.Join(dir, "p.py")
	if err := os.WriteFile(prog, []byte(code), 0o666); err != nil {
		t.Fatal(err)
	}
	o.Command = []string{"/bin/sh", "-c", "exec " + python + " -I -S " + prog + " > " + filepath.Join(dir, "out")}
	o.Dir = filepath.Join(dir, "x.pyrr.part")
	if o.Warn == nil {
		o.Warn = func(s string) { t.Log(s) }
	}
	if info, err = Record(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	return info, dir
}

func output(t *testing.T, dir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// Processes with equal work all make progress, also those that began first. How equal their
// progress is can only be measured on a quiet machine (docs/performance.md): where other
// programs keep a processor busy, the processes on that one get less, as they would natively,
// or nothing for a while: then the test tries again. The mistake that this test looks for
// always gives some of them only a hundredth.
func TestBusyProcessesGetOnEqually(t *testing.T) {
	const tries = 3
	for i := range tries {
		rounds := roundsOfSix(t)
		mean := 0
		for _, n := range rounds {
			mean += n / len(rounds)
		}
		if slices.Min(rounds) >= mean/16 {
			t.Logf("rounds %v, mean %d", rounds, mean)
			return
		}
		t.Logf("try %d: rounds %v: some starve, the mean is %d", i+1, rounds, mean)
	}
	t.Errorf("some starve in each of %d tries", tries)
}

// roundsOfSix records six busy processes, and returns how often each came round.
func roundsOfSix(t *testing.T) []int {
	t.Helper()
	_, dir := runPython(t, busyFor+`
start = time.monotonic() + 1
kids = busy(6, start, start + 2)
print(*[int(os.read(r, 100)) for _, r in kids])
`, Options{})
	var rounds []int
	for _, w := range strings.Fields(output(t, dir)) {
		n, err := strconv.Atoi(w)
		if err != nil {
			t.Fatal(err)
		}
		rounds = append(rounds, n)
	}
	if len(rounds) != 6 {
		t.Fatalf("%d processes", len(rounds))
	}
	return rounds
}

// readEvents calls each for the events of all processes, of which it returns the
// number.
func readEvents(t testing.TB, dir string, each func(ev *recording.Event)) (procs int) {
	t.Helper()
	rec, err := recording.Open(filepath.Join(dir, "x.pyrr.part"))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	list, err := rec.Procs()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		it, err := rec.Events(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		var ev recording.Event
		for it.Next(&ev) == nil {
			each(&ev)
		}
		it.Close()
	}
	return len(list)
}

// A time-out takes effect when it should, in all processes, however many are
// busy with system calls.
func TestTimeoutWhileManyAreBusy(t *testing.T) {
	var times []time.Duration
	var procs int
	limit := setup.Patience(2 * time.Second)
	for ; ; limit *= 2 { // until all have begun by then
		info, dir := runPython(t, busyFor+`
busy(12, 0, time.monotonic() + 90)
while True: os.wait()
`, Options{Timeout: limit, Kill: true})
		if !info.TimedOut {
			t.Fatal("the time-out did not end the program")
		}
		times = nil
		procs = readEvents(t, dir, func(ev *recording.Event) {
			if ev.Kind == recording.KindTimeout {
				times = append(times, time.Duration(ev.Time))
			}
		})
		if procs == 13 || limit > 30*time.Second {
			break
		}
	}
	if len(times) != 13 || procs != 13 {
		t.Errorf("%d of %d processes were cut by the time-out", len(times), procs)
	}
	for _, at := range times {
		// On an idle machine it takes some milliseconds; without a time-out of its own a process
		// would be cut by its end, which is far away.
		if late := at - limit; late < 0 || late > 20*time.Second {
			t.Errorf("the time-out took effect %v late", late)
		}
	}
	t.Logf("cut at %v", times)
}

// A second thread runs as soon as the first one waits inside a call, whatever
// other processes do.
func TestThreadGivesWayWhileOthersAreBusy(t *testing.T) {
	_, dir := runPython(t, busyFor+fmt.Sprintf("end = time.monotonic() + %f", setup.Patience(8*time.Second).Seconds())+`
kids = busy(6, 0, end)
r, w = os.pipe()
rounds, began = 0, time.monotonic()
while rounds < 20 and time.monotonic() < end:
    def go():
        time.sleep(.01)
        os.write(w, b"x")
    t = threading.Thread(target=go)
    t.start(); os.read(r, 1); t.join()
    rounds += 1
print(rounds)
for pid, _ in kids: os.kill(pid, 9)
`, Options{})
	if got := output(t, dir); got != "20" {
		t.Errorf("%s rounds of 20 before the busy processes ended", got)
	}
}

// TestMain lets a test have a recorder in a process of its own, to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PYRR_TEST_RECORD"); dir != "" {
		_, err := Record(context.Background(), Options{Command: os.Args[1:], Dir: dir})
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	setup.HeedSignals()
	os.Exit(m.Run())
}

// A recorder that is killed leaves behind what all processes did until then,
// also of those that were seldom reported while others were busy.
func TestKilledRecorderLeavesAllProcesses(t *testing.T) {
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip(err)
	}
	// Among other work a process may get little of the processor for a second.
	for _, alive := range []time.Duration{1500 * time.Millisecond, 6 * time.Second} {
		early := killedAfter(t, python, alive)
		if len(early) == 0 || t.Failed() {
			return
		}
		t.Logf("after %v: %s", alive, strings.Join(early, "; "))
	}
	t.Error("what processes did is lost")
}

// killedAfter kills a recorder of seven processes, and returns the processes whose log ends early.
func killedAfter(t *testing.T, python string, alive time.Duration) (early []string) {
	t.Helper()
	dir := t.TempDir()
	rec := exec.Command(os.Args[0], python, "-I", "-S", "-c", busyFor+`
busy(6, 0, time.monotonic() + 60)
print("begun", flush=True)
while True: os.wait()`)
	rec.Env = append(os.Environ(), "PYRR_TEST_RECORD="+filepath.Join(dir, "x.pyrr.part"))
	out, err := rec.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(alive)
	rec.Process.Kill()
	rec.Wait()
	type tail struct {
		at     time.Duration
		events int
		waits  bool
	}
	ends := map[int32]tail{}
	procs := readEvents(t, dir, func(ev *recording.Event) {
		if ev.Kind == recording.KindEnd {
			return // put there by the reader
		}
		ends[ev.TID] = tail{time.Duration(ev.Time), ends[ev.TID].events + 1, ev.Nr == sys.SYS_WAIT4}
	})
	if procs != 7 {
		t.Errorf("%d processes of 7", procs)
	}
	var begun time.Duration // when the first process began to wait
	for _, end := range ends {
		if end.waits {
			begun = end.at
		}
	}
	for tid, end := range ends {
		// 50 ms are lost on an idle machine.
		if got := end.at - begun; got < alive/2 && !end.waits {
			early = append(early, fmt.Sprintf("process %d: %d events, and nothing later than %v", tid, end.events, got))
		}
	}
	return early
}
