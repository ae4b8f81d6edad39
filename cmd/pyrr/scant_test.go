//go:build linux && amd64

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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

// powerless makes the superuser one who may open no file but those that its mode permits:
// what it executes has neither CAP_DAC_OVERRIDE nor CAP_DAC_READ_SEARCH.
const powerless = "for right in 1, 2: os.getuid() == 0 and libc.prctl(24, right, 0, 0, 0)\n" // PR_CAPBSET_DROP

var scantMachines = []scantMachine{
	{"a file of a mode that permits nothing", powerless, modelessProgram, ""},
	{"what was data is never code", "if libc.prctl(65, 1, 0, 0, 0): sys.exit(77)\n", plainProgram, ""}, // PR_SET_MDWE
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
			got, said, recorded := run(self, "pyrr", "record", "--verify", "full", "--timeout", "100s", "-o", "x.pyrr.zip", python, "-c", m.program)
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
