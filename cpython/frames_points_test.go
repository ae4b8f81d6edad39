package cpython

import (
	"bufio"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/mem"
	"pyrr/internal/setup"
	"pyrr/internal/stack"
)

// interpreter is a Python on this machine that the tests run.
type interpreter struct {
	name string
	path string
	root string // run by chroot(2) in it, "" for none
	// flags come before the script.
	flags []string
}

// interpreters lists every place where one may be; the tests skip those that
// are absent.
func interpreters() []interpreter {
	home, _ := os.UserHomeDir()
	list := []interpreter{{name: "debian-3.11", path: "/usr/bin/python3.11"}}
	for _, v := range []string{"3.8.18", "3.9.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0"} {
		list = append(list, interpreter{name: "pyenv-" + v, path: filepath.Join(home, ".pyenv/versions", v, "bin/python3")})
	}
	for _, r := range []struct{ release, python string }{
		{"bullseye", "python3.9"}, {"trixie", "python3.13"}, {"sid", "python3.14"}, {"sid", "python3.15"},
	} {
		list = append(list, interpreter{
			name: r.release + "-" + strings.TrimPrefix(r.python, "python"),
			path: "/usr/bin/" + r.python, root: setup.Root(r.release),
		})
	}
	return append(list,
		interpreter{name: "pbs-3.10", path: setup.Path("pbs310/bin/python3.10")},
		interpreter{name: "pbs-3.11", path: setup.Path("pbs311/bin/python3.11")},
		interpreter{name: "pbs-3.14", path: setup.Path("pbs314/bin/python3.14")},
		interpreter{name: "switch-3.13", path: setup.Path("switch313/bin/python3.13")},
		interpreter{name: "static-3.13", path: setup.Path("static313/bin/python3.13")},
		interpreter{name: "clang-3.13", path: setup.Path("clang313/bin/python3.13")},
		interpreter{name: "nogil-3.13t", path: setup.Path("nogil313/bin/python3.13t")})
}

// minorVersion returns the minor version that an interpreter's name ends in.
func minorVersion(t testing.TB, in interpreter) int {
	t.Helper()
	var minor int
	_, version, _ := strings.Cut(in.name, "-")
	if _, err := fmt.Sscanf(version, "3.%d", &minor); err != nil {
		t.Fatal(err)
	}
	return minor
}

// process is a Python program under test.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr *strings.Builder
	m      mem.Live
}

// startPython runs a script from testdata under an interpreter, or skips.
func startPython(t testing.TB, in interpreter, script string, args ...string) *process {
	t.Helper()
	if _, err := os.Stat(filepath.Join(in.root, in.path)); err != nil {
		t.Skipf("no interpreter: %v", err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if in.root != "" {
		if os.Geteuid() != 0 {
			t.Skip("only root can chroot into " + in.root)
		}
		if dir, err = os.MkdirTemp(filepath.Join(in.root, "tmp"), "stack"); err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	path := filepath.Join(dir, script)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	path = strings.TrimPrefix(path, in.root)
	argv := append([]string{in.path, "-X", "faulthandler"}, in.flags...)
	argv = append(append(argv, path), args...)
	if in.root != "" {
		argv = append([]string{"chroot", in.root}, argv...)
	}
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), stderr: &strings.Builder{}}
	p.cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1")
	p.cmd.Stderr = p.stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdout = bufio.NewReaderSize(out, 1<<20)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		// What -X perf leaves behind.
		os.Remove(filepath.Join(in.root, fmt.Sprintf("/tmp/perf-%d.map", p.cmd.Process.Pid)))
	})
	p.m = mem.Live{PID: p.cmd.Process.Pid}
	return p
}

// line returns the next line of output.
func (p *process) line(t testing.TB) string {
	t.Helper()
	s, err := p.stdout.ReadString('\n')
	if err != nil {
		p.cmd.Wait()
		t.Fatalf("the program's output ended: %v\n%s", err, p.stderr.String())
	}
	return s
}

// awaitRead waits until the main thread is inside read(0, …).
func (p *process) awaitRead(t testing.TB) {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/syscall", p.m.PID)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(b), "0 0x0 ") {
			return
		}
		time.Sleep(50 * time.Microsecond)
	}
	t.Fatalf("the program does not come to read(0)\n%s", p.stderr.String())
}

// proceed lets the program leave its read.
func (p *process) proceed(t testing.TB) {
	t.Helper()
	if _, err := p.stdin.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// openLive finds the Python module of a live process in its maps.
func openLive(t testing.TB, in interpreter, pid int) *Runtime {
	t.Helper()
	module, bias := pythonModule(t, pid)
	r, err := OpenRuntime(filepath.Join(in.root, module), bias, mem.Live{PID: pid})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pythonModule returns the file of libpython, or else of the interpreter, as
// the process names it, and its load bias.
func pythonModule(t testing.TB, pid int) (path string, bias uint64) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	root, _ := os.Readlink(fmt.Sprintf("/proc/%d/root", pid))
	for _, line := range strings.Split(string(maps), "\n") {
		f := strings.Fields(line)
		if len(f) < 6 || f[2] != "00000000" || f[5][0] != '/' {
			continue
		}
		base := filepath.Base(f[5])
		if strings.HasPrefix(base, "libpython3") || path == "" && strings.HasPrefix(base, "python3") {
			path = strings.TrimPrefix(f[5], strings.TrimSuffix(root, "/"))
			fmt.Sscanf(f[0], "%x-", &bias)
		}
	}
	if path == "" {
		t.Fatalf("no Python module in the process's maps\n%s", maps)
	}
	f, err := elf.Open(fmt.Sprintf("/proc/%d/root%s", pid, path))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && p.Off == 0 {
			bias -= p.Vaddr
		}
	}
	return path, bias
}

// pointFrame is a frame as the program saw it.
type pointFrame struct {
	File    string
	Func    string
	Line    int
	EndLine int
	Col     int
	EndCol  int
	Instr   *int
}

type pointStack struct {
	Ident  uint64
	TID    int
	Name   string
	Frames []pointFrame
}

type point struct {
	PID      int
	Point    int
	Handling string // repr of sys.exc_info()[1]
	Stacks   []pointStack
}

// TestStacksAgainstPython compares, at random points of a program, the stack
// of every thread read from memory with what the interpreter itself reports.
func TestStacksAgainstPython(t *testing.T) {
	for i, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			comparePoints(t, in, 1+i, 250, 3)
		})
	}
}

// TestStacksOfVariants is the same for interpreters run with options that
// change how frames or line tables come about.
func TestStacksOfVariants(t *testing.T) {
	variants := []struct {
		name  string
		since int
		flags []string
	}{
		{"optimized", 8, []string{"-OO"}},
		{"without columns", 11, []string{"-X", "no_debug_ranges"}},
		// Every call goes through machine code made at run time and is a C
		// call of the eval loop, with a shim of its own.
		{"perf trampoline", 12, []string{"-X", "perf"}},
	}
	for i, in := range interpreters() {
		for _, v := range variants {
			t.Run(in.name+"/"+v.name, func(t *testing.T) {
				if minorVersion(t, in) < v.since {
					t.Skipf("since 3.%d", v.since)
				}
				t.Parallel()
				in := in
				in.flags = v.flags
				comparePoints(t, in, 100+i, 40, 1)
			})
		}
	}
}

// comparePoints compares every thread at each of a number of points.
func comparePoints(t *testing.T, in interpreter, seed, points, threads int) {
	p := startPython(t, in, "stackpoints.py", fmt.Sprint(seed), fmt.Sprint(points), fmt.Sprint(threads))
	var r *Runtime
	var k *Tracker
	frames := 0
	for n := 1; n <= points; n++ {
		var want point
		if err := json.Unmarshal([]byte(p.line(t)), &want); err != nil {
			t.Fatal(err)
		}
		p.awaitRead(t)
		if r == nil {
			r = openLive(t, in, p.m.PID)
			k = r.NewTracker()
		}
		frames += comparePoint(t, r, k, p.m, want)
		if t.Failed() {
			t.Fatalf("point %d, seed %d", n, seed)
		}
		p.proceed(t)
	}
	t.Logf("Python %v: %d points, %d frames", r.Version, points, frames)
}

// comparePoint compares all threads and returns the number of frames.
func comparePoint(t *testing.T, r *Runtime, k *Tracker, m mem.Reader, want point) int {
	t.Helper()
	threads, err := r.Threads(m)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	var got []pointStack
	for _, th := range threads {
		if th.HasGIL {
			t.Errorf("thread %d has the GIL, but all are in a blocking read", th.NativeID)
		}
		frames, err := r.Frames(m, th, Options{})
		if err != nil {
			t.Error(err)
		}
		tracked, same, of, ok, err := k.Frames(m, th.Ident, 0)
		if err != nil || !ok || of.Addr != th.Addr || same > len(tracked) || !slices.Equal(tracked, frames) {
			t.Errorf("tracked frames of thread %d, %d taken over, error %v (-read again +tracked):\n%s", th.NativeID, same, err, cmp.Diff(frames, tracked))
		}
		s := pointStack{Ident: th.Ident, TID: th.NativeID, Name: th.Name}
		if th.NativeID == want.PID {
			comparePointException(t, r, m, th, want)
		}
		for _, f := range frames {
			instr := f.Instr
			s.Frames = append(s.Frames, pointFrame{f.File, f.Func, f.Line, f.EndLine, f.Col, f.EndCol, &instr})
			if f.Err != "" || f.Kind != stack.Python {
				t.Errorf("frame %+v", f)
			}
			n++
		}
		got = append(got, s)
		checkEntries(t, r, frames)
	}
	sort.Slice(got, func(i, j int) bool { return got[i].Ident < got[j].Ident })
	sort.Slice(want.Stacks, func(i, j int) bool { return want.Stacks[i].Ident < want.Stacks[j].Ident })
	for i := range want.Stacks {
		w := &want.Stacks[i]
		for k := range w.Frames {
			if w.Frames[k].Instr == nil && i < len(got) && k < len(got[i].Frames) {
				got[i].Frames[k].Instr = nil // the program can't know it
			}
		}
	}
	if !reflect.DeepEqual(want.Stacks, got) { // much faster than cmp.Diff
		t.Errorf("stacks differ (-Python +memory):\n%s", cmp.Diff(want.Stacks, got))
	}
	return n
}

// checkEntries: each call of the eval loop has its place on the C stack, the
// outer ones higher, and the outermost frame has one.
func checkEntries(t *testing.T, r *Runtime, frames []Frame) {
	t.Helper()
	last := uint64(0)
	for i, f := range frames {
		if f.Entry != 0 && f.Entry <= last {
			t.Errorf("frame %d: entry %#x after %#x", i, f.Entry, last)
		}
		last = max(last, f.Entry)
	}
	if outer := frames[len(frames)-1].Entry; (outer != 0) != (r.Version.Minor >= 11) {
		t.Errorf("outermost frame: entry %#x", outer)
	}
}

func comparePointException(t *testing.T, r *Runtime, m mem.Reader, th Thread, want point) {
	t.Helper()
	raising, handling, err := r.Exceptions(m, th)
	if err != nil || raising != nil {
		t.Errorf("raising %+v, error %v", raising, err)
	}
	got := ""
	if handling != nil {
		got = handling.Text
	}
	if got != want.Handling {
		t.Errorf("handling %q, Python says %q", got, want.Handling)
	}
}
