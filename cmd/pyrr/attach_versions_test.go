//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/probe"
)

// working is a program that works while two of its threads wait for each other.
const working = `
import queue` + abbaLocks + `
q, done = queue.Queue(5), []
def work():
    while True:
        x = q.get()
        if x is None:
            return
        done.append(x * x)
threads = [threading.Thread(target=work) for _ in range(3)]
[t.start() for t in threads]
n = 0
while not over.is_set():
    q.put(n)
    n += 1
    time.sleep(0.0002)
[q.put(None) for _ in threads]
[t.join() for t in threads]
assert sorted(done) == [i * i for i in range(n)]
`

// TestAttachVersions attaches to each version of Python that is there, to get the reason of
// its hang and to record it. Those that lie in another root run in a mount namespace and a
// PID namespace of their own.
func TestAttachVersions(t *testing.T) {
	probe.Require(t)
	if testing.Short() {
		t.Skip("records on every interpreter")
	}
	list, err := exec.Command("../../scripts/interpreters.sh", "list").Output()
	if err != nil {
		t.Fatalf("list the interpreters: %v", err)
	}
	seen := map[string]bool{}
	for l := range strings.Lines(string(list)) {
		f := strings.Fields(l)
		if len(f) < 3 {
			continue
		}
		minor := strings.Join(strings.Split(f[1], ".")[:2], ".")
		elsewhere := f[2] == "chroot"
		if seen[minor+fmt.Sprint(elsewhere)] || os.Getenv("PYRR_SOAK") == "" && elsewhere && seen[minor+"false"] {
			continue
		}
		seen[minor+fmt.Sprint(elsewhere)] = true
		t.Run(f[0], func(t *testing.T) {
			command := append(f[2:], "-c", attachHead+working+attachTail)
			if elsewhere {
				command = append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child"}, command...)
				if out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "true").CombinedOutput(); err != nil || os.Geteuid() != 0 {
					t.Skipf("only root can do this, with namespaces: %v\n%s", err, out)
				}
			}
			p := liveBy(t, exec.Command(command[0], command[1:]...))
			if elsewhere {
				p.inside = childOf(t, p.cmd.Process.Pid)
			}
			out, err := lookUntil(p, []string{"explain"}, []string{"Deadlock: ", "held by thread Thread-"})
			if err != nil || !bytes.Contains(out, []byte("Deadlock: ")) || !bytes.Contains(out, []byte("held by thread Thread-")) {
				t.Errorf("%v\n%s", err, out)
			}
			attached(t, p, "--for", "100ms")
			p.ends(t)
		})
	}
}

// childOf is the only child of a process.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	list, _ := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", pid))
	child, err := strconv.Atoi(strings.TrimSpace(string(list)))
	if err != nil {
		t.Fatalf("children of %d: %q", pid, list)
	}
	return child
}

// withGone is the program working, with memory of a file that is gone, as of a library that
// was replaced: in a container nobody can open that file. It touches more and more of it.
const withGone = `
import mmap, tempfile
kept = tempfile.TemporaryFile()
kept.truncate(64 << 20)
for at in range(0, 64 << 20, 1 << 16):
    os.pwrite(kept.fileno(), b"x", at)
gone = mmap.mmap(kept.fileno(), 0, access=mmap.ACCESS_COPY)
kept.close()
def touch():
    while not over.wait(.02):
        at = int(time.monotonic() * 20) % 1024 << 16
        assert gone[at] == ord("x"), at
threading.Thread(target=touch).start()
` + working

// inContainer attaches, from within a container, to the Python that the rest of its
// arguments name, which runs as under a service manager.
const inContainer = `cd "$1" && mkfifo in out || exit
code=$2; shift 2
"$@" -c "$code" <in >out & pid=$!
exec 3>in 4<out
read line <&4 && [ "$line" = begun ] || exit
sleep .2
./pyrr explain --pid $pid && ./pyrr record --pid $pid --for 200ms -o x.pyrr.zip; echo "status $?"
exec 3>&-
read line <&4; wait $pid; echo "program $? $line"
`

// TestAttachInContainer attaches from within a container: user, mount and PID
// namespaces of its own, where program and pyrr run as the same user without any
// right beyond that; one of the Pythons has another root. With PYRR_SOAK it does so to every
// version.
func TestAttachInContainer(t *testing.T) {
	pythons := [][]string{{tracedPython(t)}}
	list, err := exec.Command("../../scripts/interpreters.sh", "list").Output()
	if err != nil {
		t.Fatalf("list the interpreters: %v", err)
	}
	rooted := false
	for l := range strings.Lines(string(list)) {
		f := strings.Fields(l)
		if len(f) < 3 || os.Getenv("PYRR_SOAK") == "" && (f[2] != "chroot" || rooted) {
			continue
		}
		rooted = f[2] == "chroot"
		pythons = append(pythons, f[2:])
	}
	for _, python := range pythons {
		// As the user who makes the namespace, or as another user.
		for _, user := range []string{"0", "1000"} {
			if user != "0" && python[0] == "chroot" {
				continue // only the first user may do this
			}
			t.Run("user "+user+" "+strings.Join(python, " "), func(t *testing.T) {
				container := []string{"--user", "--map-user=" + user, "--map-group=" + user, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
				if out, err := exec.Command("unshare", append(container, "true")...).CombinedOutput(); err != nil {
					t.Skipf("no namespace for a user: %v\n%s", err, out)
				}
				dir := t.TempDir()
				self, err := os.Executable()
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(self, filepath.Join(dir, "pyrr")); err != nil {
					t.Fatal(err)
				}
				args := append(container, "sh", "-c", inContainer, "sh", dir, attachHead+withGone+attachTail)
				cmd := exec.Command("unshare", append(args, python...)...)
				cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
				out, err := cmd.CombinedOutput()
				for _, want := range []string{"Deadlock: ", ", verified", "status 0", "program 0 ok"} {
					if err != nil || !bytes.Contains(out, []byte(want)) {
						t.Errorf("%v: the output does not have %q:\n%s", err, want, out)
					}
				}
			})
		}
	}
}
