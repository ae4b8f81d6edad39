package ptrace

import (
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A signal goes to the process that was opened, also where pidfds are not known,
// and to nobody once that one was waited for.
func TestSignalsGoToTheProcessThatWasOpened(t *testing.T) {
	for _, old := range []bool{false, true} {
		c := exec.Command("sleep", "100")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		p := OpenProcess(c.Process.Pid)
		if !p.Known() {
			t.Skip("this kernel has no pidfds")
		}
		if old {
			p.Close()
			p.fd = 0
		}
		p.Send(unix.SIGTERM)
		c.Wait()
		if st := c.ProcessState.Sys().(interface{ Signal() unix.Signal }); st.Signal() != unix.SIGTERM {
			t.Errorf("it ended by %v", st.Signal())
		}
		if old {
			continue
		}
		if err := unix.PidfdSendSignal(p.fd, 0, nil, 0); err != unix.ESRCH {
			t.Errorf("the process can still be reached: %v", err)
		}
		p.Send(unix.SIGKILL) // nothing happens
		if !p.Ended(time.Minute) {
			t.Error("it has not ended")
		}
		p.Close()
	}
	Process{}.Send(unix.SIGKILL) // is nobody, above all not pyrr's own group
	Process{}.Close()
}

func TestKillEndsAProcess(t *testing.T) {
	c := exec.Command("sleep", "100")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	Kill(c.Process.Pid)
	if err := c.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	Kill(0) // is nobody, above all not pyrr's own group
}

// What a number stands for that is no tracee's is left alone.
func TestKillTracee(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c := exec.Command("sleep", "100")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	p := OpenProcess(c.Process.Pid)
	defer p.Close()
	KillTracee(c.Process.Pid)
	if p.Known() && p.Ended(100*time.Millisecond) {
		t.Error("a process that is not traced was ended")
	}
	if err := Seize(c.Process.Pid, 0); err != nil {
		t.Fatal(err)
	}
	KillTracee(c.Process.Pid)
	for {
		_, st, err := WaitFor(c.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		if !st.Stopped() {
			if st.Signal() != syscall.SIGKILL {
				t.Errorf("it ended with %#x", uint32(st))
			}
			return
		}
	}
}
