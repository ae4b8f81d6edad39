package unwind

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// fromLinux orders registers as DWARF does.
func fromLinux(r *linux.Regs) Regs {
	return AllRegs(r.DWARF())
}

// stopped starts a Python program and returns its pid, stopped, once it has
// printed a line and then slept a little. The test's goroutine stays on its
// thread, which traces the process.
func stopped(tb testing.TB, python, program string) int {
	tb.Helper()
	runtime.LockOSThread()
	tb.Cleanup(runtime.UnlockOSThread)
	cmd := exec.Command(python, "-c", program)
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Skipf("start %s: %v", python, err)
	}
	pid := cmd.Process.Pid
	tb.Cleanup(func() {
		cmd.Process.Kill()
		ptrace.WaitFor(pid)
		in.Close()
		go cmd.Wait() // the tracer may have taken its status
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil && err != io.EOF {
		tb.Fatal(err)
	}
	// It is about to block in a read.
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") S ") {
			break
		}
	}
	if err := ptrace.Seize(pid, 0); err != nil {
		tb.Skipf("trace %d: %v", pid, err)
	}
	if err := ptrace.Interrupt(pid); err != nil {
		tb.Fatal(err)
	}
	if _, st, err := ptrace.WaitFor(pid); err != nil || !st.Stopped() {
		tb.Fatalf("stop %d: %v %v", pid, st, err)
	}
	return pid
}

const nested = `
import time
def deep(n):
    if n == 0:
        print("ready", flush=True)
        time.sleep(100)
    else:
        list(map(deep, [n - 1]))
deep(6)
`

func TestWalkOfALiveProcess(t *testing.T) {
	pid := stopped(t, "/usr/bin/python3.11", nested)
	var regs linux.Regs
	if err := ptrace.GetRegs(pid, &regs); err != nil {
		t.Fatal(err)
	}
	m := ptrace.Mem(pid)
	s, err := LiveModules(pid, m, &Files{Find: &Finder{DebugDirs: []string{SystemDebugDir}}})
	if err != nil {
		t.Fatal(err)
	}
	frames := s.Walk(m, fromLinux(&regs), 0)
	var names []string
	for i := range frames {
		d := frames[i].Describe()
		names = append(names, d.Func)
		t.Logf("#%d %#x cfa=%#x %s+%#x %s %s", i, frames[i].PC, frames[i].CFA, d.Module, d.Offset, d.Func, d.Err)
	}
	all := strings.Join(names, " ")
	for _, want := range []string{"clock_nanosleep", "PyRun_SimpleStringFlags", "Py_RunMain", "__libc_start_main"} {
		if !strings.Contains(all, want) {
			t.Errorf("no frame of %s", want)
		}
	}
	if last := frames[len(frames)-1]; last.Err != "" {
		t.Errorf("the walk ended early: %s", last.Err)
	}
}

func BenchmarkWalk(b *testing.B) {
	pid := stopped(b, "/usr/bin/python3.11", nested)
	var regs linux.Regs
	if err := ptrace.GetRegs(pid, &regs); err != nil {
		b.Fatal(err)
	}
	m := ptrace.Mem(pid)
	s, err := LiveModules(pid, m, &Files{})
	if err != nil {
		b.Fatal(err)
	}
	r := fromLinux(&regs)
	n := len(s.Walk(m, r, 0))
	b.ReportMetric(float64(n), "frames")
	b.ReportAllocs()
	for b.Loop() {
		s.Walk(m, r, 0)
	}
}
