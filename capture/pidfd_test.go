package capture

import (
	"os/exec"
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
		p := openProcess(c.Process.Pid)
		if p.fd < 0 {
			t.Skip("this kernel has no pidfds")
		}
		if old {
			p.close()
			p.fd = -1
		}
		p.send(unix.SIGTERM)
		c.Wait()
		if st := c.ProcessState.Sys().(interface{ Signal() unix.Signal }); st.Signal() != unix.SIGTERM {
			t.Errorf("it ended by %v", st.Signal())
		}
		if old {
			continue
		}
		if err := unix.PidfdSendSignal(p.fd, 0, nil, 0); err != unix.ESRCH {
			t.Errorf("it can still be reached: %v", err)
		}
		p.send(unix.SIGKILL) // nothing happens
		if !pidfdEnded(p.fd, time.Second) {
			t.Error("it has not ended")
		}
		p.close()
	}
}

func TestKillEndsAProcess(t *testing.T) {
	c := exec.Command("sleep", "100")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	kill(c.Process.Pid)
	if err := c.Wait(); err == nil {
		t.Error("it ended by itself")
	}
	kill(0) // is nobody, above all not pyrr's own group
}
