//go:build amd64

package inject

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/setup"
)

// python runs the system's interpreter.
func python(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip("/usr/bin/python3 is not installed")
	}
	return path
}

// links are the ways in which a program finds the vDSO: by the dynamic
// linker, or by the start-up code of a static libc.
var links = []struct {
	name  string
	flags []string
}{
	{"dynamic", nil},
	{"static", []string{"-static"}},
	{"static-pie", []string{"-static-pie"}},
}

func TestClocks(t *testing.T) {
	for _, tt := range links {
		t.Run(tt.name, func(t *testing.T) {
			rounds := 10000
			if tt.flags != nil {
				rounds = MaxReadings + 1
			}
			bin := compile(t, "clocks", tt.flags...)
			p := start(t, bin, fmt.Sprint(rounds))
			p.placeArea(false)
			p.run()
			if out := p.output(); !strings.HasPrefix(out, "ok ") {
				t.Fatal(out)
			}
			buffered := 6*rounds + 4 // and those around the bad pointer
			if n := p.answers(); n < buffered || n > buffered+20 {
				t.Errorf("%d answers passed the buffer, want about %d", n, buffered)
			}
			if want := 6 * (rounds / MaxReadings); p.full != want {
				t.Errorf("buffer was full %d times, want %d", p.full, want)
			}
			for id := range uint64(8) {
				want := 1 // the check against the system call
				if id == 2 || id == 3 {
					want += rounds
				}
				if p.clocks[id] != want {
					t.Errorf("clock %d: %d system calls, want %d", id, p.clocks[id], want)
				}
			}
			if p.calls[unix.SYS_TIME] == 0 || p.calls[unix.SYS_GETTIMEOFDAY] == 0 {
				t.Errorf("time: %d system calls, gettimeofday: %d, want some of each",
					p.calls[unix.SYS_TIME], p.calls[unix.SYS_GETTIMEOFDAY])
			}
		})
	}
}

// TestClocksReplay gives a second run the answers of the first.
func TestClocksReplay(t *testing.T) {
	bin := compile(t, "clocks")
	p := start(t, bin, "5000", "replay")
	p.placeArea(false)
	p.run()
	want := p.output()

	q := start(t, bin, "5000", "replay")
	q.batches = p.batches
	q.placeArea(true)
	q.run()
	if got := q.output(); got != want {
		t.Errorf("replay printed %q, recording %q", got, want)
	}
	if left := q.answers(); left != 0 {
		t.Errorf("%d answers are left over", left)
	}
	if q.full != p.full || q.full == 0 {
		t.Errorf("buffer ran empty %d times, was full %d times", q.full, p.full)
	}
}

// TestRegisters looks at all registers after each kind of reading: what the
// vDSO leaves in them must not tell a recording from a replay.
func TestRegisters(t *testing.T) {
	bin := compile(t, "regs")
	want := ""
	for id := range uint64(8) {
		want += fmt.Sprintf("%d:", id)
		for reg := range uint64(16) {
			switch reg {
			case 4: // rsp
			case 3, 5, 12, 13, 14, 15:
				want += fmt.Sprintf(" %x", 0x1111111111111111*reg+id)
			default:
				want += " 0"
			}
		}
		want += " flags 44 xmm kept\n"
	}
	var batches [][]byte
	for _, replay := range []bool{false, true} {
		p := start(t, bin)
		p.batches = batches
		p.placeArea(replay)
		p.run()
		if got := p.output(); got != want {
			t.Errorf("replay %v: got\n%swant\n%s", replay, got, want)
		}
		batches = p.batches
	}
}

func TestModes(t *testing.T) {
	bin := compile(t, "clocks")
	for _, tt := range []struct {
		name string
		mode uint32
		want func(calls, buffered int) bool
	}{
		{"passthrough", ModePassthrough, func(calls, buffered int) bool { return calls == 1 && buffered == 0 }},
		{"syscall", ModeSyscall, func(calls, buffered int) bool { return calls > 5000 && buffered == 0 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, bin, "5000", tt.name)
			p.placeArea(false)
			p.write(p.area.Time.Mode, le(tt.mode))
			p.run()
			if out := p.output(); !strings.HasPrefix(out, "ok ") {
				t.Fatal(out)
			}
			if !tt.want(p.clocks[0], p.answers()) {
				t.Errorf("%d system calls for clock 0, %d answers in the buffer", p.clocks[0], p.answers())
			}
		})
	}
}

// TestSystemCallsOfTheVDSO has a kernel function that needs a system call for
// every reading, as with a clock source that only the kernel can read.
func TestSystemCallsOfTheVDSO(t *testing.T) {
	bin := compile(t, "clocks")
	p := start(t, bin, "1000")
	p.placeArea(false)
	code := areaBase + uint64(AreaSize) + 0x1000
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE
	if got := p.syscall(p.regs().Rip, unix.SYS_MMAP, code, 0x1000, ProtRead|ProtExec, flags, ^uint64(0), 0); got != code {
		t.Fatalf("mmap: %#x", got)
	}
	p.write(code, []byte{0xb8, 228, 0, 0, 0, 0x0f, 0x05, 0xc3}) // mov eax, SYS_clock_gettime; syscall; ret
	p.write(p.area.Time.FnCell, le(code))
	p.run()
	if out := p.output(); !strings.HasPrefix(out, "ok ") {
		t.Fatal(out)
	}
	if p.clocks[0] != 1 || p.clocks[1] != 1 {
		t.Errorf("%d and %d system calls are not told from the program's", p.clocks[0], p.clocks[1])
	}
	if n := p.answers(); n < 6000 {
		t.Errorf("%d answers passed the buffer", n)
	}
}

// TestLetGo detaches in the middle; the program must run on without anybody
// to empty the buffer.
func TestLetGo(t *testing.T) {
	p := start(t, python(t), "-c", `
import os, time
t = [time.monotonic() for i in range(10)]
os.getppid()
t += [time.monotonic() for i in range(20000)]
assert t == sorted(t)
assert 0 <= time.clock_gettime(1) - t[-1] < 5
print("ok")`)
	p.placeArea(false)
	p.onSyscall = func(nr uint64, _ *linux.Regs) bool {
		if nr != unix.SYS_GETPPID {
			return false
		}
		p.write(p.area.Time.Mode, le(uint32(ModePassthrough)))
		return true
	}
	p.run()
	if got := p.output(); got != "ok\n" {
		t.Errorf("got %q", got)
	}
}

func TestPythonClocks(t *testing.T) {
	p := start(t, python(t), "-c", `
import time
a = time.time(), time.perf_counter()
for i in range(10000): time.perf_counter(); time.time()
b = time.time(), time.perf_counter()
assert a[0] <= b[0] < a[0] + 60 and a[1] < b[1] < a[1] + 60, (a, b)
print("ok")`)
	p.placeArea(false)
	p.run()
	if got := p.output(); got != "ok\n" {
		t.Errorf("got %q", got)
	}
	if n := p.answers(); n < 20000 {
		t.Errorf("%d answers passed the buffer, want 20,000", n)
	}
	if n := p.clocks[0] + p.clocks[1]; n > 0 {
		t.Errorf("%d clock_gettime system calls", n)
	}
}

// libcs are the C libraries at hand: this machine's, and those of other
// releases of Debian in root file systems beside it.
func libcs(t *testing.T) map[string]string {
	roots := map[string]string{"system": ""}
	dirs, _ := filepath.Glob(setup.Path("roots") + "/*/usr/bin/python3")
	for _, d := range dirs {
		root := strings.TrimSuffix(d, "/usr/bin/python3")
		roots[filepath.Base(root)] = root
	}
	if len(roots) == 1 {
		t.Log("no other root file systems here")
	}
	return roots
}

// TestLibcs calls everything that a C library may take from the vDSO. What
// the area doesn't offer must end up as a system call.
func TestLibcs(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	const program = `
import ctypes, os, platform, struct, time
libc = ctypes.CDLL(None)
libc.time.restype = ctypes.c_long
now = time.clock_gettime(0)
buf = ctypes.create_string_buffer(64)
for i in range(10):
    # time(2) reads the coarse clock, which may lie in the second before
    assert now - 2 < libc.time(None) < now + 60
    assert libc.time(buf) == struct.unpack_from("q", buf)[0]
    assert libc.gettimeofday(buf, None) == 0
    assert now - 1 < struct.unpack_from("q", buf)[0] < now + 60
    assert libc.clock_getres(1, buf) == 0
    assert libc.sched_getcpu() >= 0
    assert libc.timespec_get(buf, 1) == 1
    assert len(os.getrandom(16)) == 16
    assert libc.getrandom(buf, 32, 0) == 32
    for clock in 0, 1, 4, 5, 6, 7: assert time.clock_gettime(clock) > 0
    assert libc.clock_gettime(1, buf) == 0
print("ok", platform.libc_ver()[1])`
	for name, root := range libcs(t) {
		t.Run(name, func(t *testing.T) {
			if root != "" && unix.Getuid() != 0 {
				t.Skip("chroot needs root")
			}
			python(t)
			p := startIn(t, root, "/usr/bin/python3", "-c", program)
			p.patch = true
			p.placeArea(false)
			p.run()
			got := p.output()
			if !strings.HasPrefix(got, "ok ") {
				t.Fatalf("got %q", got)
			}
			t.Logf("glibc %s, answered %v", strings.TrimSpace(got[3:]), p.emul)
			if n := p.answers(); n < 80 {
				t.Errorf("%d answers passed the buffer", n)
			}
			for clock, n := range p.clocks {
				t.Errorf("clock %d: %d system calls", clock, n)
			}
			for _, c := range []struct {
				name string
				nr   uint64
				want int
			}{
				{"time", unix.SYS_TIME, 20}, {"gettimeofday", unix.SYS_GETTIMEOFDAY, 10},
				{"clock_getres", unix.SYS_CLOCK_GETRES, 10}, {"getrandom", unix.SYS_GETRANDOM, 20},
			} {
				if n := p.calls[c.nr]; n < c.want {
					t.Errorf("%s: %d system calls, want %d", c.name, n, c.want)
				}
			}
			if p.emul[Cpuid] == 0 {
				t.Error("no cpuid was answered")
			}
		})
	}
}
