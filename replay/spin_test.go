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
	programs := map[string]string{"": compile(t, "spin"), "-O0": compile(t, "spin", "-O0")}
	for _, style := range []string{"pause", "plain", "cas", "nops", "yield", "futex", "ticket", "rdtsc", "counter", "steal"} {
		for _, threads := range []int{2, 4, 8} {
			name := style + "/" + strconv.Itoa(threads)
			program := programs[""]
			if threads == 2 {
				program, name = programs["-O0"], name+"/-O0"
			}
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

// TestTravelThroughSpins: among threads that spin, a place is the same whether it
// is reached by going back or by going forwards.
func TestTravelThroughSpins(t *testing.T) {
	program := compile(t, "spin")
	for _, style := range []string{"pause", "plain"} {
		t.Run(style, func(t *testing.T) {
			rec := record(t, capture.Options{Command: []string{program, style, "3", "4"}, FollowAll: true, Timeout: time.Minute})
			x := open(t, rec)
			var events []uint64
			first := map[uint64]state{}
			procs, err := rec.Procs()
			if err != nil {
				t.Fatal(err)
			}
			it, err := rec.Events(procs[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			defer it.Close()
			var ev recording.Event
			for n := uint64(0); it.Next(&ev) == nil; n++ {
				if ev.Stop == recording.StopPause || ev.Stop == recording.StopSpin {
					events = append(events, n)
				}
			}
			if len(events) < 4 {
				t.Fatalf("only %d switches in loops", len(events))
			}
			for _, n := range events {
				if _, err := x.RunTo(recording.Pos{Event: n}); err != nil {
					t.Fatal(err)
				}
				first[n] = stateOf(t, x)
			}
			for i := len(events) - 1; i >= 0; i-- {
				if _, err := x.RunTo(recording.Pos{Event: events[i]}); err != nil {
					t.Fatal(err)
				}
				if got := stateOf(t, x); got != first[events[i]] {
					t.Errorf("event %d: another state reached from behind", events[i])
				}
			}
		})
	}
}
