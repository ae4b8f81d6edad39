//go:build linux && amd64

package probe

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of ptrace(2) that x/sys/unix knows only as numbers, or not at all.
const (
	ptraceSysemu         = 31     // PTRACE_SYSEMU, asm/ptrace-abi.h
	ptraceGetSigmask     = 0x420a // PTRACE_GETSIGMASK, linux/ptrace.h
	ptraceGetSyscallInfo = 0x420e // PTRACE_GET_SYSCALL_INFO, linux/ptrace.h
	ntX86XState          = 0x202  // NT_X86_XSTATE, linux/elf.h
)

// waitLimit bounds every wait for the child: what does not stop by then is
// counted as "could not tell".
const waitLimit = 5 * time.Second

// child is a process of this program's own executable, stopped at its first
// instruction. It never runs a line of it: what runs is a few instructions
// that the probe writes there.
type child struct {
	pid  int
	regs unix.PtraceRegs // at the first instruction
	how  string          // a trial's way, where there are several
}

// startTraced forks and execs this executable with PTRACE_TRACEME and waits
// for the stop at the exec. The caller holds its OS thread.
func startTraced() (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	pid, err := syscall.ForkExec(exe, []string{exe}, &syscall.ProcAttr{
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		Sys:   &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return nil, err
	}
	c := &child{pid: pid}
	ws, err := c.wait()
	if err == nil && ws.StopSignal() != unix.SIGTRAP {
		err = fmt.Errorf("the child did not stop at its exec (status %#x)", uint32(ws))
	}
	if err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

// kill ends the child and collects it.
func (c *child) kill() {
	_ = unix.Kill(c.pid, unix.SIGKILL)
	for {
		ws, err := c.wait()
		if err != nil || ws.Exited() || ws.Signaled() {
			return
		}
	}
}

var errNoStop = errors.New("the child did not stop")

// wait waits for the child's next change of state, but not for ever.
func (c *child) wait() (unix.WaitStatus, error) {
	var ws unix.WaitStatus
	deadline := time.Now().Add(waitLimit)
	for pause := 20 * time.Microsecond; ; pause *= 2 {
		pid, err := unix.Wait4(c.pid, &ws, unix.WALL|unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, fmt.Errorf("wait4: %w", err)
		case pid == c.pid:
			return ws, nil
		case time.Now().After(deadline):
			return 0, errNoStop
		}
		time.Sleep(min(pause, 10*time.Millisecond))
	}
}

// ptrace makes the raw call and returns its errno as it is.
func (c *child) ptrace(request int, addr, data uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, uintptr(request), uintptr(c.pid), addr, data, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// seize lets the child go and takes it back by PTRACE_SEIZE, which is how a
// running process is attached to. It is detached with a SIGSTOP, so it does
// not run in between.
func (c *child) seize() error {
	if err := c.ptrace(unix.PTRACE_DETACH, 0, uintptr(unix.SIGSTOP)); err != nil {
		return fmt.Errorf("PTRACE_DETACH: %w", err)
	}
	if err := c.ptrace(unix.PTRACE_SEIZE, 0, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACESYSGOOD); err != nil {
		return fmt.Errorf("PTRACE_SEIZE: %w", err)
	}
	if err := c.ptrace(unix.PTRACE_INTERRUPT, 0, 0); err != nil {
		return fmt.Errorf("PTRACE_INTERRUPT: %w", err)
	}
	ws, err := c.wait()
	if err != nil {
		return err
	}
	if !ws.Stopped() {
		return fmt.Errorf("the child ended with status %#x instead of stopping", uint32(ws))
	}
	return nil
}

// resume lets the child run by request up to a stop by SIGTRAP (want 0) or a
// syscall stop (want SIGTRAP|0x80). Stops on the way, of the seizing and of
// the SIGSTOP before it, are passed over without a signal.
func (c *child) resume(request int, want unix.Signal) error {
	for range 10 {
		if err := c.ptrace(request, 0, 0); err != nil {
			return err
		}
		ws, err := c.wait()
		if err != nil {
			return err
		}
		if !ws.Stopped() {
			return fmt.Errorf("the child ended with status %#x", uint32(ws))
		}
		if sig := ws.StopSignal(); sig == want && int(ws)>>16 == 0 {
			return nil
		} else if sig != unix.SIGSTOP && sig != unix.SIGCONT && int(ws)>>16 == 0 {
			return fmt.Errorf("the child stopped by signal %d", int(sig))
		}
	}
	return errNoStop
}

// code is `syscall; int3`.
var code = []byte{0x0f, 0x05, 0xcc}

// install writes code over the child's first instructions.
func (c *child) install() error {
	if err := unix.PtraceGetRegs(c.pid, &c.regs); err != nil {
		return fmt.Errorf("PTRACE_GETREGS: %w", err)
	}
	if _, err := unix.PtracePokeText(c.pid, uintptr(pcOf(&c.regs)), code); err != nil {
		return fmt.Errorf("PTRACE_POKETEXT: %w", err)
	}
	return nil
}

// call makes the child execute a system call and returns its result.
func (c *child) call(nr int, args ...uint64) (int64, error) {
	regs := c.regs
	setCall(&regs, nr, args)
	if err := unix.PtraceSetRegs(c.pid, &regs); err != nil {
		return 0, fmt.Errorf("PTRACE_SETREGS: %w", err)
	}
	if err := c.resume(unix.PTRACE_CONT, unix.SIGTRAP); err != nil {
		return 0, err
	}
	return c.result()
}

// result returns the register of a system call's result.
func (c *child) result() (int64, error) {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(c.pid, &regs); err != nil {
		return 0, fmt.Errorf("PTRACE_GETREGS: %w", err)
	}
	return resultOf(&regs), nil
}

// syscallInfo is the head of struct ptrace_syscall_info (ptrace(2)) with the
// entry arm of its union.
type syscallInfo struct {
	Op   uint8
	_    [3]uint8
	Arch uint32
	IP   uint64
	SP   uint64
	Nr   uint64
	Args [6]uint64
}

func (c *child) syscallInfo() (syscallInfo, error) {
	var info syscallInfo
	err := c.ptrace(ptraceGetSyscallInfo, unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)))
	runtime.KeepAlive(&info)
	return info, err
}
