package replay_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/capture"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// journeys are the fixtures that sessions travel through: threads, signals,
// forks, faults, mappings, asyncio, deep stacks.
var journeys = []string{
	"threads_queue", "signal_storm", "generators", "proc_fork", "asyncio_debug",
	"threads_locks", "deep_recursion", "sqlite_wal", "signal_eintr", "file_ops",
}

func open(t testing.TB, rec *recording.Recording) *replay.Session {
	t.Helper()
	x, err := replay.Open(rec, replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

type state struct{ regs, mem uint64 }

// threadsOf describes the threads of a state, to show where two states differ.
func threadsOf(t testing.TB, x *replay.Session) []replay.ThreadState {
	t.Helper()
	ts, err := x.Threads()
	if err != nil {
		t.Fatal(err)
	}
	for i := range ts {
		ts[i].Call = nil
	}
	return ts
}

func stateOf(t testing.TB, x *replay.Session) state {
	t.Helper()
	r, m, err := x.Hash()
	if err != nil {
		t.Fatal(err)
	}
	return state{r, m}
}

// TestBackwardsIsForwards: a place reached by going back is the same as when it is reached
// by going forwards: registers and memory, at random positions of many programs, and
// again after moving there and back.
func TestBackwardsIsForwards(t *testing.T) {
	python := pythons(t)[0]
	fixtures, places, moves := journeys[:2], 15, 15
	if os.Getenv("PYRR_E2E") == "full" {
		fixtures, places, moves = journeys, 500, 1000
	}
	for i, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			script, err := filepath.Abs("../fixtures/" + name + ".py")
			if err != nil {
				t.Fatal(err)
			}
			rec := record(t, capture.Options{Command: []string{python, script}, Schedule: capture.Schedule{Slice: 5000}})
			x := open(t, rec)
			ix, err := x.Places()
			if err != nil {
				t.Fatal(err)
			}
			rnd := rand.New(rand.NewPCG(uint64(i), 7))
			var all []recording.Pos
			for range places {
				n := 1 + rnd.Uint64N(uint64(len(ix)-2))
				lo, hi := ix[n-1].Instr, ix[n].Instr
				all = append(all, recording.Pos{Event: n, Instr: lo + rnd.Uint64N(hi-lo+1)})
			}
			slices.SortFunc(all, func(a, b recording.Pos) int {
				if a.Event != b.Event {
					return int(a.Event) - int(b.Event)
				}
				return int(a.Instr) - int(b.Instr)
			})
			want := map[recording.Pos]state{}
			points := map[recording.Pos]replay.Point{}
			threads := map[recording.Pos][]replay.ThreadState{}
			for _, pos := range all {
				st, err := x.RunTo(pos)
				if err != nil {
					t.Fatalf("to %v: %v", pos, err)
				}
				want[pos], points[pos], threads[pos] = stateOf(t, x), st.Point, threadsOf(t, x)
			}
			check := func(pos recording.Pos, how string) {
				st, err := x.RunTo(pos)
				if err != nil {
					t.Fatalf("%s to %v: %v", how, pos, err)
				}
				if !st.Point.Same(points[pos]) {
					t.Errorf("%s to %v: at %+v, not %+v", how, pos, st.Point, points[pos])
				}
				if got := stateOf(t, x); got != want[pos] {
					t.Fatalf("%s to %v: state %x, forwards %x\nthreads (-forwards +now):\n%s", how, pos, got, want[pos], cmp.Diff(threads[pos], threadsOf(t, x)))
				}
			}
			for _, pos := range slices.Backward(all) {
				check(pos, "backwards")
			}
			for range moves {
				check(all[rnd.IntN(len(all))], "to and fro")
			}
		})
	}
}

// TestContinueBothWays: the stops of reverse-continue are the stops of continue
// in reverse order, for breakpoints in Python and in C.
func TestContinueBothWays(t *testing.T) {
	script, err := filepath.Abs("testdata/lines.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, python := range pythons(t)[:1] {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(python))), func(t *testing.T) {
			rec := record(t, capture.Options{Command: []string{python, script}})
			x := open(t, rec)
			breaks := []*replay.Break{
				{Kind: replay.BreakCall, File: "lines.py", Func: "factorial"},
				{Kind: replay.BreakRaise, File: "lines.py"},
				{Kind: replay.BreakSymbol, Name: "write"},
			}
			x.SetBreaks(breaks)
			var forward []string
			var points []replay.Point
			for {
				st, err := x.Continue(nil)
				if err != nil {
					t.Fatal(err)
				}
				if st.Kind == replay.StopEnd {
					break
				}
				forward = append(forward, describe(st, stateOf(t, x)))
				points = append(points, st.Point)
			}
			if len(forward) < 12 {
				t.Fatalf("only %d stops: %s", len(forward), strings.Join(forward, "\n"))
			}
			backwards(t, x, forward)
			for range 5 {
				i := rand.IntN(len(points))
				if _, err := x.Goto(points[i]); err != nil {
					t.Fatal(err)
				}
				if s := fmt.Sprint(stateOf(t, x)); !strings.HasSuffix(forward[i], s) {
					t.Fatalf("at stop %d: %s, not %s", i, s, forward[i])
				}
			}
			// So are those of a session that goes to the end at once, and back from there.
			y, err := replay.Open(rec, replay.Options{Returns: true})
			if err != nil {
				t.Fatal(err)
			}
			defer y.Close()
			ix, err := y.Places()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := y.RunTo(recording.Pos{Event: uint64(len(ix) - 1), Instr: 1 << 62}); err != nil {
				t.Fatal(err)
			}
			y.SetBreaks(breaks)
			backwards(t, y, forward)
		})
	}
}

// backwards goes back from the end, through the stops of the way there.
func backwards(t *testing.T, x *replay.Session, forward []string) {
	t.Helper()
	for i := len(forward) - 1; i >= 0; i-- {
		st, err := x.ReverseContinue(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(st, stateOf(t, x)); got != forward[i] {
			t.Fatalf("backwards, stop %d of %d:\n got %s\nwant %s", i, len(forward), got, forward[i])
		}
	}
	if st, err := x.ReverseContinue(nil); err != nil || st.Kind != replay.StopStart {
		t.Fatalf("before the first stop: %+v, %v", st, err)
	}
}

func describe(st *replay.Stop, s state) string {
	what := "?"
	if st.Hit != nil {
		what = ""
		for _, b := range st.Hit.Breaks {
			what += b.String() + " "
		}
	}
	return fmt.Sprintf("%d thread %d at %d,%d: %s %v", st.Kind, st.TID, st.Point.Instr, st.Point.Event, what, s)
}
