//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/cli"
	"pyrr/internal/setup"
)

// A scant machine lacks something, or forbids it. What pyrr records there ends as natively,
// and the recording is exact, or a line says why there is none.
type scantMachine struct {
	name string
	// lacks is Python that brings that about for itself and what it executes; where it
	// can't, it exits with status 77.
	lacks string
	// program prints the same in each run.
	program string
	// says is what pyrr prints; "" is that the recording is whole and was verified.
	says string
}

const prelude = "import ctypes, os, resource, signal, sys\nlibc = ctypes.CDLL(None, use_errno=True)\n"

// plainProgram does a little of all: files, threads, children, time.
const plainProgram = `import mmap, os, subprocess, sys, tempfile, threading, time
with tempfile.TemporaryFile() as f:
    f.write(b"x" * 5000); f.flush()
    shown = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
    os.pwrite(f.fileno(), b"yy", 0)
    print(shown[:3])
thread = threading.Thread(target=time.sleep, args=(.01,)); thread.start(); thread.join()
print(subprocess.run([sys.executable, "-S", "-c", "print(6 * 7)"], stdout=subprocess.PIPE).stdout)
for i in range(1000): os.stat("/"); time.time()
print("end"); sys.exit(3)
`

// modelessProgram maps a file that nobody may open by its name any more, shared with a child.
const modelessProgram = `import mmap, os
fd = os.open("of%d" % os.getpid(), os.O_RDWR | os.O_CREAT, 0)
os.write(fd, b"a" * 8192)
own, shown = mmap.mmap(fd, 8192), mmap.mmap(fd, 8192, access=mmap.ACCESS_READ)
go, done = os.pipe(), os.pipe()
if not os.fork():
    os.read(go[0], 1)
    own[:4] = b"late"
    os.write(done[1], b"x")
    os._exit(0)
os.write(go[1], b"x"); os.read(done[0], 1)
print(own[:8], shown[:8])
os.pwrite(fd, b"zz", 4096)
print(own[4094:4100], shown[4094:4100])
`

// fullProgram may have one thread.
const fullProgram = `import os, resource, threading
if os.getuid() == 0: os.setresuid(61234, 61234, 61234)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try: threading.Thread(target=print).start()
except RuntimeError as e: print(e)
`

// powerless makes the superuser one who may open no file but those that its mode permits:
// what it executes has neither CAP_DAC_OVERRIDE nor CAP_DAC_READ_SEARCH.
const powerless = "for right in 1, 2: os.getuid() == 0 and libc.prctl(24, right, 0, 0, 0)\n" // PR_CAPBSET_DROP

var scantMachines = []scantMachine{
	{"a file of a mode that permits nothing", powerless, modelessProgram, ""},
	{"no thread more", "", fullProgram, `^pyrr: warning: process \d+ \(python[0-9.]+\) could not make a thread or process, .* pyrr's \d+ count in it, too\npyrr: recorded .* instructions, verified\n$`},
	{"what was data is never code", "if libc.prctl(65, 1, 0, 0, 0): sys.exit(77)\n", plainProgram, ""}, // PR_SET_MDWE
	{"no result of a call that is put into it", noRequest(3), plainProgram, // PTRACE_PEEKUSER
		`^pyrr: warning: process \d+ \(python[0-9.]+\): recording stopped at instruction 0: .*: operation not permitted\n`},
}

// TestScantMachine records programs where something is used up, or not permitted.
func TestScantMachine(t *testing.T) {
	t.Parallel()
	python := tracedPython(t)
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range scantMachines {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			run := func(command ...string) (stdout, stderr string, status int) {
				// What comes last is executed, by the name before it.
				cmd := exec.Command(python, append([]string{"-c", prelude + m.lacks + "os.execv(sys.argv[1], sys.argv[2:])"}, command...)...)
				var errs strings.Builder
				cmd.Dir, cmd.Stderr = dir, &errs
				out, err := cmd.Output()
				if cmd.ProcessState == nil {
					t.Fatal(err)
				}
				return string(out), errs.String(), cmd.ProcessState.ExitCode()
			}
			want, natively, status := run(python, python, "-c", m.program)
			if status == 77 {
				t.Skip("this machine can't be made so: ", natively)
			}
			got, all, recorded := run(self, "pyrr", "record", "--verify", "full", "--timeout", "100s", "-o", "x.pyrr.zip", python, "-c", m.program)
			said := regexp.MustCompile(`(?m)^pyrr: … .*\n`).ReplaceAllString(all, "") // that it takes its time
			if got != want || recorded != status {
				t.Errorf("status %d, natively %d; printed\n%s\nnatively\n%s\n%s", recorded, status, got, want, said)
			}
			says := m.says
			if says == "" {
				says = `^pyrr: recorded x\.pyrr\.zip .* instructions, verified\n$`
			}
			if !regexp.MustCompile(says).MatchString(said) {
				t.Errorf("said\n%s\nwant %s", said, says)
			}
		})
	}
}

// TestNoSignalMayWait: a recorder needs a timer, which counts among the signals that may
// wait. Where there is none it says so, and runs the program where that is asked for.
func TestNoSignalMayWait(t *testing.T) {
	t.Parallel()
	python := tracedPython(t)
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for flag, want := range map[string]int{"--or-else-run=false": cli.ExitOwn, "--or-else-run=true": 3} {
		cmd := exec.Command("bash", "-c", `ulimit -i 0; exec -a pyrr "$@"`, "-", self, "record", flag, "-o", "x.pyrr.zip", python, "-c", "raise SystemExit(3)")
		cmd.Dir = t.TempDir()
		out, _ := cmd.CombinedOutput()
		if status := cmd.ProcessState.ExitCode(); status != want || !regexp.MustCompile(`make a timer: .*ulimit -i.*\npyrr: hint: ulimit -i 1000\n`).Match(out) {
			t.Errorf("%s: status %d, want %d\n%s", flag, status, want, out)
		}
	}
}

// TestTimeoutWithoutQueue: the time-out interrupts a test whose process may have no signal
// waiting that tells something of itself, as it does any other, and pytest goes on.
func TestTimeoutWithoutQueue(t *testing.T) {
	t.Parallel()
	tracedPython(t)
	python := setup.Path("venv-pytest/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no pytest here: ", err)
	}
	dir := t.TempDir()
	const tests = `import resource, threading
def test_hangs():
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, resource.getrlimit(resource.RLIMIT_SIGPENDING)[1]))
    threading.Event().wait(600)
def test_after(): pass
`
	if err := os.WriteFile(filepath.Join(dir, "test_it.py"), []byte(tests), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := pyrrCommand("record", "--keep", "failure", "--timeout", setup.Timeout("2s"), "-o", dir, python, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:timeout", "test_it.py")
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(string(out), "1 failed, 1 passed") || strings.Contains(string(out), "did not end within") {
		t.Errorf("status %d\n%s", status, out)
	}
}

// noRequest is Python that puts itself under a filter which refuses one request of ptrace alone.
func noRequest(which int) string {
	return fmt.Sprintf(`import struct
code = struct.pack("HBBI" * 6, 0x20, 0, 0, 0, 0x15, 0, 3, 101, 0x20, 0, 0, 16, 0x15, 0, 1, %d, 6, 0, 0, 0x50001, 6, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", 6, ctypes.addressof(buffer))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
`, which)
}

// TestLetGoBeforeTests: where a session of pytest can't be recorded from its start on, a line
// says that nobody times its tests by themselves.
func TestLetGoBeforeTests(t *testing.T) {
	t.Parallel()
	tracedPython(t)
	python := setup.Path("venv-pytest/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no pytest here: ", err)
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "test_it.py"), []byte("def test_passes(): pass\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", prelude+noRequest(0x4204)+"os.execv(sys.argv[1], sys.argv[2:])", self, "pyrr", "record",
		"--keep", "failure", "--timeout", "100s", "-o", dir, python, "-m", "pytest", "-p", "no:cacheprovider", "test_it.py")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1 passed") || !strings.Contains(string(out), "recording stopped at instruction 0: operation not permitted; its tests are not recorded one by one, and the time-out is that of all\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
