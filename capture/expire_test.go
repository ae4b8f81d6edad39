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

	"pyrr/internal/setup"
)

// recordHanging records a program that hangs once it has made a file, up to a time-out that
// finds it there: one that comes before, on a machine that stands still for a while, tries
// nothing, and the next is longer, and so is the grace.
func recordHanging(t *testing.T, o Options, made string) *Info {
	t.Helper()
	for o.Timeout = setup.Patience(3 * time.Second); ; o.Timeout, o.Grace = 2*o.Timeout, 2*o.Grace {
		o.Dir = filepath.Join(t.TempDir(), "x.pyrr.part")
		info, err := Record(context.Background(), o)
		if err != nil {
			t.Fatalf("%+v, %v", info, err)
		}
		if there, _ := filepath.Glob(made); len(there) > 0 || o.Timeout > time.Minute {
			return info
		}
	}
}

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
			code := "import os, signal, time\n"
			if !heeds {
				code += "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
			}
			code += "try:\n  open('pid', 'w').write(str(os.getpid()))\n  time.sleep(600)\nexcept KeyboardInterrupt:\n  open('told', 'w').close()\n"
			if err := os.WriteFile(filepath.Join(dir, "p.py"), []byte(code), 0o666); err != nil {
				t.Fatal(err)
			}
			grace := 3 * time.Second
			if heeds {
				grace = time.Minute // it ends at once, however much later that is
			}
			info := recordHanging(t, Options{
				Command: []string{"/bin/sh", "-c", "cd " + dir + " && " + python + " p.py; :"}, Grace: grace,
			}, filepath.Join(dir, "pid"))
			if !info.TimedOut {
				t.Fatalf("%+v", info)
			}
			b, err := os.ReadFile(filepath.Join(dir, "pid"))
			if err != nil {
				t.Fatal(err)
			}
			// Another process may have its number by now; one that has ended has no folder.
			if in, _ := os.Readlink("/proc/" + string(b) + "/cwd"); in == dir {
				t.Errorf("process %s is still there", b)
			}
			if _, err := os.Stat(filepath.Join(dir, "told")); (err == nil) != heeds {
				t.Errorf("the program was told: %v", err == nil)
			}
		})
	}
}

// A time-out also ends what the program starts when it is told of it, and what it had
// just started: nothing of that would end by itself.
func TestTimeoutEndsWhatIsStartedLate(t *testing.T) {
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip(err)
	}
	for _, kind := range []struct{ name, code string }{
		{"when told", `
def again(*_):
    if not os.fork():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if not os.fork():
            open(f"pid{os.getpid()}", "w").close()
            time.sleep(600)
        time.sleep(600)
signal.signal(signal.SIGINT, again)
while True:
    time.sleep(600)
`},
		{"all the time", `
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    pid = os.fork()
    if not pid:
        open(f"pid{os.getpid()}", "w").close()
        time.sleep(600)
        os._exit(0)
    time.sleep(0.2)
`},
	} {
		t.Run(kind.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "p.py"), []byte("import os, signal, sys, time\nos.chdir(sys.path[0])"+kind.code), 0o666); err != nil {
				t.Fatal(err)
			}
			all := filepath.Join(dir, "pid*")
			info := recordHanging(t, Options{
				Command: []string{python, filepath.Join(dir, "p.py")}, Grace: 3 * time.Second,
			}, all)
			if !info.TimedOut {
				t.Fatalf("%+v", info)
			}
			started, err := filepath.Glob(all)
			if err != nil || len(started) == 0 {
				t.Fatalf("it started nothing: %v", err)
			}
			for _, name := range started {
				pid := strings.TrimPrefix(filepath.Base(name), "pid")
				there := func() bool {
					cmdline, _ := os.ReadFile("/proc/" + pid + "/cmdline")
					return strings.Contains(string(cmdline), dir)
				}
				// One that was not recorded any more ends once it gets a processor.
				for wait := time.Now().Add(setup.Patience(5 * time.Second)); there() && time.Now().Before(wait); {
					time.Sleep(20 * time.Millisecond)
				}
				if there() {
					t.Errorf("process %s is still there", pid)
					if n, err := strconv.Atoi(pid); err == nil {
						unix.Kill(n, unix.SIGKILL)
					}
				}
			}
		})
	}
}
