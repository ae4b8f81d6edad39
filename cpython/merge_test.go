package cpython

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/unwind"
)

// stopHere stops the main thread of a process where it is and returns its
// registers. The test's goroutine stays on its OS thread.
func stopHere(t testing.TB, pid int) unwind.Regs {
	t.Helper()
	runtime.LockOSThread()
	if err := ptrace.Seize(pid, 0); err != nil {
		runtime.UnlockOSThread()
		t.Skipf("trace the program: %v", err)
	}
	t.Cleanup(func() {
		ptrace.Detach(pid, 0)
		runtime.UnlockOSThread()
	})
	if err := ptrace.Interrupt(pid); err != nil {
		t.Fatal(err)
	}
	if _, st, err := ptrace.WaitFor(pid); err != nil || !st.Stopped() {
		t.Fatalf("stop the program: %v %v", st, err)
	}
	var r linux.Regs
	if err := ptrace.GetRegs(pid, &r); err != nil {
		t.Fatal(err)
	}
	return unwind.AllRegs(r.DWARF())
}

// TestMerge holds on every interpreter that Python frames stand where the C
// frames that run them are: functions called from C have C frames behind
// them, and those called from Python none but, up to 3.10, the call itself.
func TestMerge(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			p := startPython(t, in, "merged.py")
			var ways [][2]string
			if err := json.Unmarshal([]byte(p.line(t)), &ways); err != nil {
				t.Fatal(err)
			}
			p.awaitRead(t)
			r := openLive(t, in, p.m.PID)
			regs := stopHere(t, p.m.PID)
			ts, err := r.Threads(p.m)
			if err != nil {
				t.Fatal(err)
			}
			py, err := r.Frames(p.m, ts[0], Options{})
			if err != nil {
				t.Fatal(err)
			}
			s, err := unwind.LiveModules(p.m.PID, p.m, &unwind.Files{})
			if err != nil {
				t.Fatal(err)
			}
			c := s.Walk(p.m, regs, 0)
			if last := c[len(c)-1]; last.Err != "" {
				t.Errorf("the walk of C frames ends at %#x: %s", last.PC, last.Err)
			}
			merged := r.Merge(c, py)
			if t.Failed() || testing.Verbose() {
				logMerged(t, merged)
			}
			helpers := 0
			switch r.Version.Minor {
			case 8, 9, 10:
				// _PyFunction_Vectorcall and what it calls.
				helpers = strings.Count(between(merged, "innermost", "key"), " ")
				if helpers > 2 {
					t.Errorf("a call from Python has %d C frames", helpers)
				}
			}
			checkMerged(t, merged, ways, helpers)
		})
	}
}

func logMerged(t *testing.T, merged []MergedFrame) {
	for _, f := range merged {
		if f.Python != nil {
			t.Logf("  Py %s:%d", f.Python.Func, f.Python.Line)
			continue
		}
		d := f.C.Describe()
		t.Logf("%5v  C  %s %s+%#x %s", f.Eval, d.Func, d.Module, d.Offset, d.Err)
	}
}

// between returns the C frames between two Python frames.
func between(merged []MergedFrame, inner, outer string) string {
	out, on := "", false
	for _, f := range merged {
		switch {
		case f.Python != nil && f.Python.Func == outer:
			return out
		case f.Python != nil:
			on = f.Python.Func == inner
		case on && !f.Eval:
			out += f.C.Describe().Func + " "
		}
	}
	return out
}

func checkMerged(t *testing.T, merged []MergedFrame, ways [][2]string, helpers int) {
	t.Helper()
	if merged[0].C == nil || merged[0].Eval {
		t.Error("the innermost frame is not that of read(2)")
	}
	n, between := 0, 0
	for i := range merged {
		f := &merged[i]
		switch {
		case f.Python != nil:
			// Up to 3.10 the name is not qualified.
			if n >= len(ways) || strings.TrimPrefix(f.Python.Func, "Made.") != ways[n][0] {
				t.Fatalf("Python frame %d is %s", n, f.Python.Func)
			}
			if n > 0 && (ways[n-1][1] == "c") != (between > helpers) {
				t.Errorf("%s was called from %q and has %d C frames below", ways[n-1][0], ways[n-1][1], between)
			}
			n, between = n+1, 0
		case !f.Eval:
			between++
			if name := f.C.Describe().Func; strings.HasPrefix(name, evalLoop) {
				t.Errorf("a frame of %s runs no Python frame", name)
			}
		default:
			// Compilers inline the loop into what resumes a generator.
			if name := f.C.Describe().Func; name != "" && name != "generator.__next__" && !strings.HasPrefix(name, evalLoop) && !strings.HasPrefix(name, "_TAIL_CALL") {
				t.Errorf("%s is taken for the evaluation loop", name)
			}
		}
	}
	if n != len(ways) {
		t.Errorf("%d Python frames, want %d", n, len(ways))
	}
	if between == 0 {
		t.Error("no C frames below the main module")
	}
}

// BenchmarkMerged reads the C and the Python stack of a live process and puts
// them together, with the names of all C functions.
func BenchmarkMerged(b *testing.B) {
	for _, in := range interpreters() {
		b.Run(in.name, func(b *testing.B) {
			p := startPython(b, in, "merged.py")
			p.line(b)
			p.awaitRead(b)
			r := openLive(b, in, p.m.PID)
			regs := stopHere(b, p.m.PID)
			ts, err := r.Threads(p.m)
			if err != nil {
				b.Fatal(err)
			}
			s, err := unwind.LiveModules(p.m.PID, p.m, &unwind.Files{})
			if err != nil {
				b.Fatal(err)
			}
			read := func() (n int) {
				py, err := r.Frames(p.m, ts[0], Options{})
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range r.Merge(s.Walk(p.m, regs, 0), py) {
					if f.C != nil {
						f.C.Describe()
					}
					n++
				}
				return n
			}
			n := read() // loads the modules
			b.ResetTimer()
			for b.Loop() {
				read()
			}
			b.ReportMetric(float64(n), "frames")
		})
	}
}
