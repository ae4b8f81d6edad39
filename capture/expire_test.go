package capture

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A time-out reaches a program that a shell waits for, as Ctrl-C does. A program that
// does not heed it is ended too.
func TestTimeoutEndsWhatAShellStarted(t *testing.T) {
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip(err)
	}
	for _, heeds := range []bool{true, false} {
		t.Run(strconv.FormatBool(heeds), func(t *testing.T) {
			dir := t.TempDir()
			code := "import os, signal, time\nopen('pid', 'w').write(str(os.getpid()))\n"
			if !heeds {
				code += "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
			}
			code += "try:\n  time.sleep(600)\nexcept KeyboardInterrupt:\n  open('told', 'w').close()\n"
			if err := os.WriteFile(filepath.Join(dir, "p.py"), []byte(code), 0o666); err != nil {
				t.Fatal(err)
			}
			info, err := Record(context.Background(), Options{
				Command: []string{"/bin/sh", "-c", "cd " + dir + " && " + python + " p.py; :"},
				Dir:     filepath.Join(dir, "x.pyrr.part"), Timeout: 3 * time.Second, Grace: 3 * time.Second,
			})
			if err != nil || !info.TimedOut {
				t.Fatalf("%+v, %v", info, err)
			}
			b, err := os.ReadFile(filepath.Join(dir, "pid"))
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
			if err != nil {
				t.Fatal(err)
			}
			if unix.Kill(pid, 0) == nil {
				stat, _ := os.ReadFile("/proc/" + string(b) + "/stat")
				if !strings.Contains(string(stat), ") Z ") {
					t.Errorf("the program is still there: %s", stat)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "told")); (err == nil) != heeds {
				t.Errorf("the program was told: %v", err == nil)
			}
		})
	}
}

// Of a program that outlives the time-out's signal, what it starts because of that signal is
// ended with it: a pool starts workers anew in place of those that ended.
func TestTimeoutEndsWhatWasStartedSince(t *testing.T) {
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	code := "import os, signal, time\ndef again(*_):\n  if os.fork() == 0:\n    if os.fork(): time.sleep(600)\n    open('pid', 'w').write(str(os.getpid()))\n    time.sleep(600)\n" +
		"signal.signal(signal.SIGINT, again)\nwhile True: time.sleep(600)\n"
	if err := os.WriteFile(filepath.Join(dir, "p.py"), []byte(code), 0o666); err != nil {
		t.Fatal(err)
	}
	info, err := Record(context.Background(), Options{Command: []string{"/bin/sh", "-c", "cd " + dir + " && exec " + python + " p.py"},
		Dir: filepath.Join(dir, "x.pyrr.part"), Timeout: 2 * time.Second, Grace: 4 * time.Second})
	if err != nil || !info.TimedOut {
		t.Fatalf("%+v, %v", info, err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if stat, err := os.ReadFile("/proc/" + string(pid) + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
		n, _ := strconv.Atoi(string(pid))
		unix.Kill(n, unix.SIGKILL)
		t.Errorf("what it started is still there: %s", stat)
	}
}
