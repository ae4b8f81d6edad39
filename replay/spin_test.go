package replay_test

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/capture"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// compile makes a program of a C file in testdata.
func compile(t testing.TB, name string, flags ...string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	out := filepath.Join(t.TempDir(), "program")
	args := append([]string{"-O2", "-pthread", "-o", out, filepath.Join("testdata", name+".c")}, flags...)
	if b, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, b)
	}
	return out
}

// TestThreadsThatSpin holds that threads which wait for each other in native
// code, in all the ways that libraries do, come to the same end while they are
// recorded, and again in a replay.
func TestThreadsThatSpin(t *testing.T) {
	program := compile(t, "spin")
	for _, style := range []string{"pause", "nops", "yield", "futex", "ticket", "rdtsc", "counter", "steal"} {
		for _, threads := range []int{2, 4, 8} {
			name := style + "/" + strconv.Itoa(threads)
			t.Run(name, func(t *testing.T) {
				if threads != 4 && testing.Short() {
					t.Skip("one number of threads is enough")
				}
				const rounds = 6
				sum := int64(0)
				for i := range rounds * threads {
					sum = sum*3 + int64(i%threads)
				}
				command := []string{program, style, strconv.Itoa(threads), strconv.Itoa(rounds)}
				spins(t, command, strconv.FormatInt(sum, 10)+"\n")
			})
		}
	}
}

// spins records a command and replays it.
func spins(t *testing.T, command []string, want string) {
	t.Helper()
	rec := record(t, capture.Options{Command: command, FollowAll: true, Timeout: time.Minute})
	var out []byte
	last := ""
	look := func(p *replay.Process, _ *replay.Thread, ev *recording.Event) error {
		if ev.Kind == recording.KindSyscall && ev.Nr == unix.SYS_WRITE {
			out = make([]byte, min(ev.Args[2], 100))
			return p.Mem().ReadAt(out, ev.Args[1])
		}
		last = ev.Why + ev.Text
		return nil
	}
	res, err := replay.Batch(rec, replay.Options{OnEvent: look})
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != want || last != recording.EndExited {
		t.Errorf("the replay prints %q and ends by %q, the program prints %q", out, last, want)
	}
	if res.Truncated || res.Why != "" {
		t.Errorf("the recording is not whole: %s", res.Why)
	}
	if _, err := replay.Batch(rec, replay.Options{}); err != nil {
		t.Errorf("without a look at the events: %v", err)
	}
}
