//go:build linux && amd64

package ptrace

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
)

// TestInjectedIntoOneThatIsKilled: somebody kills a process of several threads while its
// first one makes a call for its tracer. The kernel reports that thread's end once those
// of the others were taken.
func TestInjectedIntoOneThatIsKilled(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w, err := NewWaits()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const threads = "import threading, time\nfor _ in range(3): threading.Thread(target=time.sleep, args=(600,)).start()\nprint(flush=True)\ntime.sleep(600)"
	python := exec.Command("/usr/bin/python3", "-c", threads)
	up, err := python.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := python.Start(); err != nil {
		t.Skip(err)
	}
	pid := python.Process.Pid
	defer python.Wait()
	defer unix.Kill(pid, unix.SIGKILL)
	up.Read(make([]byte, 1))
	list, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	if err != nil || len(list) != 4 {
		t.Fatalf("%d threads, %v", len(list), err)
	}
	for _, e := range list {
		tid, _ := strconv.Atoi(e.Name())
		if err := errors.Join(Seize(tid, Options), Interrupt(tid)); err != nil {
			t.Skip(err)
		}
		if st, err := w.For(tid); err != nil || !st.Stopped() {
			t.Fatalf("thread %d: %#x, %v", tid, st, err)
		}
	}
	var regs linux.Regs
	if err := GetRegs(pid, &regs); err != nil {
		t.Fatal(err)
	}
	if err := Write(pid, regs.Rip, Gadget); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(5*time.Minute, func() { panic("it waits for the first thread alone") })
	defer stuck.Stop()
	time.AfterFunc(200*time.Millisecond, func() { unix.Kill(pid, unix.SIGKILL) })
	_, err = InjectStopsBy(w.For, pid, regs.Rip, unix.SYS_PAUSE, [6]uint64{}, func(unix.WaitStatus) error { return nil })
	if !Gone(err) {
		t.Errorf("the call comes to %v", err)
	}
}
