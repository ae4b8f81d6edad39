package cpython

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// counted is a run of an interpreter with a clock installed.
type counted struct {
	// slice, when not 0, makes it trap at each multiple of so many
	// instructions; trap is called there.
	slice uint64
	trap  func(in *Installed, m ptrace.Mem, regs *linux.Regs) error

	// Results.
	count uint64 // instructions executed
	out   string // standard output
	cpu   int64  // user CPU time, ns
}

// clockEnv fixes what a count depends on: the order of sets, by hashes.
var clockEnv = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "PYTHONHASHSEED=0", "HOME=/"}

// requireInterpreter skips where it isn't there or can't be run.
func requireInterpreter(t testing.TB, in interpreter) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(in.root, in.path)); err != nil {
		t.Skipf("no interpreter: %v", err)
	}
	if in.root != "" && os.Geteuid() != 0 {
		t.Skip("only root can chroot into " + in.root)
	}
}

// count runs a program to its end under ptrace.
func count(t testing.TB, in interpreter, r *counted, args ...string) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := r.run(in, args); err != nil {
		t.Fatalf("%s: %v", in.name, err)
	}
}

func (r *counted) run(in interpreter, args []string) error {
	pr, pw, err := os.Pipe()
	if err != nil {
		return err
	}
	output := make(chan string)
	go func() {
		b, _ := io.ReadAll(pr)
		pr.Close()
		output <- string(b)
	}()
	// A thread's number is an address, and where it takes more than 30 bits CPython compares
	// it by another instruction: a program that is linked statically has it now above, now below.
	if before, _, e := unix.RawSyscall(unix.SYS_PERSONALITY, 0xffffffff, 0, 0); e == 0 {
		const addrNoRandomize = 0x0040000 // linux/personality.h
		unix.RawSyscall(unix.SYS_PERSONALITY, before|addrNoRandomize, 0, 0)
		defer unix.RawSyscall(unix.SYS_PERSONALITY, before, 0, 0)
	}
	pid, err := syscall.ForkExec(in.path, append([]string{in.path, "-s", "-S", "-B"}, args...), &syscall.ProcAttr{
		Dir: "/", Env: clockEnv, Files: []uintptr{0, pw.Fd(), 2},
		Sys: &syscall.SysProcAttr{Ptrace: true, Chroot: in.root},
	})
	pw.Close()
	if err != nil {
		<-output
		return err
	}
	err = r.follow(in, pid)
	if err != nil {
		unix.Kill(pid, unix.SIGKILL)
		for {
			var st unix.WaitStatus
			if _, werr := unix.Wait4(pid, &st, unix.WALL, nil); werr != unix.EINTR && (werr != nil || !st.Stopped()) {
				break
			}
		}
	}
	r.out = <-output
	return err
}

// follow traces the program from the stop after its exec.
func (r *counted) follow(in interpreter, pid int) error {
	wait := func() (unix.WaitStatus, error) {
		var st unix.WaitStatus
		var ru unix.Rusage
		for {
			_, err := unix.Wait4(pid, &st, unix.WALL, &ru)
			if err == unix.EINTR {
				continue
			}
			r.cpu = ru.Utime.Nano()
			return st, err
		}
	}
	if st, err := wait(); err != nil || !st.Stopped() {
		return fmt.Errorf("no stop at exec: %v %v", st, err)
	}
	const opts = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEEXIT | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(pid, opts); err != nil {
		return err
	}
	installed, err := installWhenReady(in, pid, wait)
	if err != nil {
		return err
	}
	armed := uint64(1 << 60)
	arm := func() error {
		if r.slice != 0 {
			armed = r.slice
		}
		return ptrace.WriteU64(pid, installed.Budget, armed)
	}
	if err := arm(); err != nil {
		return err
	}
	m := ptrace.Mem(pid)
	for sig := 0; ; {
		if err := ptrace.Cont(pid, sig); err != nil {
			return err
		}
		sig = 0
		st, err := wait()
		switch {
		case err != nil:
			return err
		case st.Exited() && st.ExitStatus() == 0:
			return nil
		case !st.Stopped():
			return fmt.Errorf("the program ended with %v", st)
		case ptrace.Event(st) == unix.PTRACE_EVENT_EXIT:
			left, err := readWord(m, installed.Budget)
			if err != nil {
				return err
			}
			r.count += armed - left
		case st.StopSignal() != unix.SIGTRAP:
			sig = int(st.StopSignal())
		default:
			var regs linux.Regs
			if err := ptrace.GetRegs(pid, &regs); err != nil {
				return err
			}
			resume, _, _, ok := installed.Trap(regs.Rip)
			if !ok || r.slice == 0 {
				return fmt.Errorf("trap at %#x", regs.Rip)
			}
			if err := r.trap(installed, m, &regs); err != nil {
				return err
			}
			// The trapped instruction is counted, and the budget went to -1.
			r.count += armed + 1
			if err := arm(); err != nil {
				return err
			}
			regs.Rip = resume
			if err := ptrace.SetRegs(pid, &regs); err != nil {
				return err
			}
		}
	}
}

func readWord(m ptrace.Mem, addr uint64) (uint64, error) {
	var b [8]byte
	err := m.ReadAt(b[:], addr)
	n := uint64(0)
	for i, c := range b {
		n |= uint64(c) << (8 * i)
	}
	return n, err
}

// installWhenReady installs the clock at the exec stop, or once the dynamic
// linker is through with libpython.
func installWhenReady(in interpreter, pid int, wait func() (unix.WaitStatus, error)) (*Installed, error) {
	clock, err := FindClock(filepath.Join(in.root, in.path))
	if err == nil && !clock.Relocated {
		return install(clock, pid, 0)
	}
	if err != nil && !errors.Is(err, ErrNotPython) {
		return nil, err
	}
	module := "libpython"
	if err == nil {
		module = filepath.Base(in.path) // it has the runtime inside
	}
	for {
		if err := ptrace.Syscall(pid, 0); err != nil {
			return nil, err
		}
		st, err := wait()
		if err != nil {
			return nil, err
		}
		if !st.Stopped() || st.StopSignal() != ptrace.SyscallStop {
			return nil, fmt.Errorf("stop %v before the clock was ready", st)
		}
		var regs linux.Regs
		if err := ptrace.GetRegs(pid, &regs); err != nil {
			return nil, err
		}
		// At the entry of a call rax is -ENOSYS.
		if regs.OrigRax != unix.SYS_MPROTECT || -int64(regs.Rax) == int64(unix.ENOSYS) {
			continue
		}
		path, start, err := moduleOf(pid, module)
		if err != nil {
			return nil, err
		}
		if path == "" {
			continue
		}
		if clock == nil {
			if clock, err = FindClock(path); err != nil {
				return nil, err
			}
		}
		lo, _ := clock.LoadRange()
		if bias := start - lo; clock.Ready(ptrace.Mem(pid), bias) {
			return install(clock, pid, bias)
		}
	}
}

// moduleOf finds the first mapping of a file by how its name begins.
func moduleOf(pid int, name string) (path string, start uint64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 6 || !strings.HasPrefix(filepath.Base(fields[5]), name) {
			continue
		}
		from, _, _ := strings.Cut(fields[0], "-")
		start, err = strconv.ParseUint(from, 16, 64)
		return fields[5], start, err
	}
	return "", 0, nil
}

func install(c *Clock, pid int, bias uint64) (*Installed, error) {
	var regs linux.Regs
	if err := ptrace.GetRegs(pid, &regs); err != nil {
		return nil, err
	}
	m := ptrace.Mem(pid)
	saved := make([]byte, len(ptrace.Gadget))
	if err := m.ReadAt(saved, regs.Rip); err != nil {
		return nil, err
	}
	if err := ptrace.Write(pid, regs.Rip, ptrace.Gadget); err != nil {
		return nil, err
	}
	const size = AreaCodeSize + AreaDataSize
	area, err := ptrace.Inject(pid, regs.Rip, unix.SYS_MMAP, [6]uint64{
		c.AreaHint(bias), size, unix.PROT_READ | unix.PROT_EXEC, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, ^uint64(0), 0,
	}, nil)
	if err != nil || area < 0 {
		return nil, fmt.Errorf("map the area: %d, %v", area, err)
	}
	ret, err := ptrace.Inject(pid, regs.Rip, unix.SYS_MPROTECT, [6]uint64{
		uint64(area) + AreaCodeSize, AreaDataSize, unix.PROT_READ | unix.PROT_WRITE,
	}, nil)
	if err != nil || ret != 0 {
		return nil, fmt.Errorf("protect the area: %d, %v", ret, err)
	}
	if err := ptrace.Write(pid, regs.Rip, saved); err != nil {
		return nil, err
	}
	in, err := c.Install(m, bias, uint64(area))
	if err != nil {
		return nil, err
	}
	for _, w := range in.Writes {
		if err := ptrace.Write(pid, w.Addr, w.Data); err != nil {
			return nil, err
		}
	}
	if c.Ready(m, bias) {
		return nil, errors.New("ready, although installed")
	}
	return in, nil
}
