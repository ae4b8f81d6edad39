package capture

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The state of a thread is the present one, of the thread that has the number at present,
// and no file stays open.
func TestSleepingIsOfNow(t *testing.T) {
	var s threadStats
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	pid := cmd.Process.Pid
	until := func(want bool) {
		t.Helper()
		for end := time.Now().Add(2 * time.Minute); s.sleeping(pid) != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("sleeping is not %v", want)
			}
		}
	}
	until(true)
	unix.Kill(pid, unix.SIGSTOP) // shows as T
	until(false)
	unix.Kill(pid, unix.SIGCONT)
	until(true)
	fd := s[pid%len(s)].fd
	cmd.Process.Kill()
	cmd.Wait()
	if s.sleeping(pid) {
		t.Error("a thread that is gone sleeps")
	}
	// A file of a thread that is gone; another thread has its number now.
	self := os.Getpid()
	s[self%len(s)] = struct{ tid, fd int }{self, openGone(t)}
	s.sleeping(self)
	if got, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(s[self%len(s)].fd)); err != nil || got != "/proc/"+strconv.Itoa(self)+"/task/"+strconv.Itoa(self)+"/stat" {
		t.Errorf("it looks at %s (%v)", got, err)
	}
	s.close()
	if err := unix.Fstat(fd, new(unix.Stat_t)); err == nil && fd != 0 {
		if got, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); got == "/proc/"+strconv.Itoa(pid)+"/task/"+strconv.Itoa(pid)+"/stat" {
			t.Error("the file stays open")
		}
	}
}

// openGone opens the file of a process that has ended since.
func openGone(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	fd, err := unix.Open("/proc/"+pid+"/task/"+pid+"/stat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
