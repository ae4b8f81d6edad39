//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"pyrr/internal/probe"
)

// filtered is a filter that ends the process at the first fork, and at every other call
// that attaching needs and a working Python does not.
const filtered = `
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
nr = lambda n: struct.pack("HBBI", 0x15, 0, 1, n) + struct.pack("HBBI", 6, 0, 0, 0x80000000)
code = struct.pack("HBBI", 0x20, 0, 0, 0) + b"".join(map(nr, (56, 57, 58, 323, 334, 435, 436))) + struct.pack("HBBI", 6, 0, 0, 0x7fff0000)
kept = ctypes.create_string_buffer(code, len(code))
prog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept)))
large = b"x" * LARGE
def work():
    while not over.wait(.002):
        str(n for n in range(100))
thread = threading.Thread(target=work)
thread.start()
time.sleep(.05)
# Of all threads.
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.syscall(317, 1, 1, prog) == 0
print("filtered", flush=True)
thread.join()
`

// TestAttachFiltered attaches to processes whose seccomp filters end them for calls that
// the program itself does not make: with the right to go around filters, and without.
func TestAttachFiltered(t *testing.T) {
	probe.Require(t)
	python := "/usr/bin/python3" // other users can execute this one too
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	for _, large := range []string{"0", "(80 << 20)"} {
		p := live(t, python, strings.Replace(filtered, "LARGE", large, 1))
		if p.lines.Scan(); p.lines.Text() != "filtered" {
			t.Fatalf("it said %q\n%s", p.lines.Text(), p.stderr.String())
		}
		out, err := pyrrCommand("bt", "--pid", p.pid(), "--python", "--thread", "all").CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("Py  work ")) {
			t.Errorf("%v\n%s", err, out)
		}
		if os.Geteuid() == 0 {
			attached(t, p, "--for", "100ms")
		}
		p.ends(t)
	}
	if os.Geteuid() != 0 {
		return
	}
	p := asNobody(t, python, strings.Replace(filtered, "LARGE", "0", 1))
	p.lines.Scan()
	out, err := nobodys(t, "bt", "--pid", p.pid(), "--python", "--thread", "all").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("Py  work ")) {
		t.Errorf("without a right to pass filters by: %v\n%s", err, out)
	}
	out, err = nobodys(t, "record", "--pid", p.pid(), "--for", "100ms", "-o", "x.pyrr.zip").CombinedOutput()
	if err == nil || !oneLine.Match(out) || !bytes.Contains(out, []byte("it has seccomp filters")) {
		t.Errorf("without a right to pass filters by: %v\n%s", err, out)
	}
	p.ends(t)
}

// nobody is the user as whom tests run programs that must not be root's.
const nobody = 61234

// asNobody is live as an ordinary user.
func asNobody(t *testing.T, python, code string) *living {
	t.Helper()
	cmd := exec.Command(python, "-c", attachHead+code+attachTail)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return liveBy(t, cmd)
}

// nobodys is pyrr run as that user, from a copy that this user can reach.
func nobodys(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { self.Close() })
	dir := t.TempDir()
	copied := filepath.Join(dir, "pyrr")
	if b, err := os.ReadFile("/proc/self/exe"); err != nil || os.WriteFile(copied, b, 0o755) != nil {
		t.Fatal(err)
	}
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	cmd := exec.Command(copied, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir, "XDG_CACHE_HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// TestAttachNoFork attaches to processes that the kernel refuses to fork: they stand still
// until their memory is read, pyrr says so, and they are recorded all the same.
func TestAttachNoFork(t *testing.T) {
	probe.Require(t)
	if os.Geteuid() != 0 {
		t.Skip("only root can run a process as another user")
	}
	const code = `
def work():
    while not over.wait(.002):
        str(n for n in range(100))
thread = threading.Thread(target=work)
thread.start()
LIMIT
print("limited", flush=True)
thread.join()
`
	for _, c := range []struct{ name, limit string }{
		{"RLIMIT_NPROC", "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))"},
		{"a control group", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := asNobody(t, "/usr/bin/python3", strings.Replace(code, "LIMIT", c.limit, 1))
			if c.name != "RLIMIT_NPROC" {
				limitTasks(t, p.pid())
			}
			want := regexp.MustCompile(`process \d+ is not copied \(fork it: resource temporarily unavailable\): it stands still until its memory is read`)
			out, err := pyrrCommand("bt", "--pid", p.pid(), "--python", "--thread", "all").CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("Py  work ")) {
				t.Errorf("%v\n%s", err, out)
			}
			path := filepath.Join(t.TempDir(), "x.pyrr.zip")
			out, err = pyrrCommand("record", "--pid", p.pid(), "--for", "100ms", "-o", path).CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte(", verified")) || !want.Match(out) {
				t.Errorf("%v\n%s", err, out)
			}
			p.ends(t)
		})
	}
}

// limitTasks puts a process into a control group of its own that allows no further tasks.
func limitTasks(t *testing.T, pid string) {
	t.Helper()
	root := "/sys/fs/cgroup/pids"
	if _, err := os.Stat(root); err != nil {
		root = "/sys/fs/cgroup"
	}
	dir, err := os.MkdirTemp(root, "pyrr-test-")
	if err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	was, _ := os.ReadFile("/proc/self/cgroup")
	t.Cleanup(func() {
		for until := time.Now().Add(5 * time.Second); os.Remove(dir) != nil && time.Now().Before(until); {
			time.Sleep(20 * time.Millisecond)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(pid), 0); err != nil {
		t.Skipf("%v (%s)", err, was)
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%s/task/*", pid))
	if err := os.WriteFile(filepath.Join(dir, "pids.max"), []byte(fmt.Sprint(len(tasks))), 0); err != nil {
		t.Skipf("the number of tasks can't be limited: %v", err)
	}
}
