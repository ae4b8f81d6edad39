//go:build linux

// Package ptrace makes every ptrace(2) call of pyrr, and the injected system
// calls built from them.
//
// The kernel ties a tracee to the tracer's thread, so all functions must be
// called from the one goroutine that is locked to the thread that seized the
// tracees (runtime.LockOSThread). ESRCH is a normal result everywhere: a
// tracee may be killed from outside at any moment; see Gone.
//
// It has no policy. Begin with Start and Waits (waits.go).
package ptrace

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of ptrace(2) that x/sys/unix has no constant for.
const (
	reqSysemu     = 31
	reqSysemuStep = 32
	reqGetSigMask = 0x420a
	reqSetSigMask = 0x420b
)

// Options of PTRACE_SEIZE for a recorded tree.
const Options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
	unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL

// SyscallStop is the signal number of a syscall stop under TRACESYSGOOD.
const SyscallStop = unix.SIGTRAP | 0x80

// Gone reports whether err says that the tracee does not exist any more, or
// is being killed.
func Gone(err error) bool { return errors.Is(err, unix.ESRCH) }

func call(req int, tid int, addr, data uintptr) (uintptr, error) {
	r, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, data, 0, 0)
	if e != 0 {
		return r, e
	}
	return r, nil
}

// callPtr is call with a pointer. The conversion stands in the system call's
// own argument list, where the compiler keeps the pointer valid: earlier, a
// growing stack could move what it points to.
func callPtr(req int, tid int, addr uintptr, data unsafe.Pointer) error {
	if _, _, e := syscall.RawSyscall6(unix.SYS_PTRACE, uintptr(req), uintptr(tid), addr, uintptr(data), 0, 0); e != 0 {
		return e
	}
	return nil
}

// Seize attaches to a thread without stopping it.
func Seize(tid int, opts uintptr) error {
	_, err := call(unix.PTRACE_SEIZE, tid, 0, opts)
	return err
}

// SetOptions replaces the options of a stopped thread.
func SetOptions(tid int, opts uintptr) error {
	_, err := call(unix.PTRACE_SETOPTIONS, tid, 0, opts)
	return err
}

// Interrupt makes a seized thread stop with PTRACE_EVENT_STOP.
func Interrupt(tid int) error {
	_, err := call(unix.PTRACE_INTERRUPT, tid, 0, 0)
	return err
}

// Cont resumes a thread until its next signal or event, delivering sig.
func Cont(tid int, sig int) error {
	_, err := call(unix.PTRACE_CONT, tid, 0, uintptr(sig))
	return err
}

// Syscall resumes a thread until its next system call stop.
func Syscall(tid int, sig int) error {
	_, err := call(unix.PTRACE_SYSCALL, tid, 0, uintptr(sig))
	return err
}

// Sysemu resumes a thread until its next system call, which is not executed.
func Sysemu(tid int, sig int) error {
	_, err := call(reqSysemu, tid, 0, uintptr(sig))
	return err
}

// SysemuStep resumes a thread for one instruction; where that is a system
// call, it stops there as with Sysemu.
func SysemuStep(tid int, sig int) error {
	_, err := call(reqSysemuStep, tid, 0, uintptr(sig))
	return err
}

// Step resumes a thread for one instruction; with a signal that has a
// handler it stops at the handler's first instruction.
func Step(tid int, sig int) error {
	_, err := call(unix.PTRACE_SINGLESTEP, tid, 0, uintptr(sig))
	return err
}

// Listen leaves a thread in its group stop but lets SIGCONT end it.
func Listen(tid int) error {
	_, err := call(unix.PTRACE_LISTEN, tid, 0, 0)
	return err
}

// Detach lets go of a stopped thread, delivering sig.
func Detach(tid int, sig int) error {
	_, err := call(unix.PTRACE_DETACH, tid, 0, uintptr(sig))
	return err
}

// EventMsg returns the message of a PTRACE_EVENT stop (a child's id, the
// former thread id of an exec).
func EventMsg(tid int) (uint64, error) {
	var v uint64
	err := callPtr(unix.PTRACE_GETEVENTMSG, tid, 0, unsafe.Pointer(&v))
	return v, err
}

// SigInfo is siginfo_t: 128 bytes, si_signo, si_errno, si_code first.
type SigInfo [128]byte

// Signo returns si_signo.
func (s *SigInfo) Signo() int { return int(*(*int32)(unsafe.Pointer(&s[0]))) }

// Code returns si_code.
func (s *SigInfo) Code() int { return int(*(*int32)(unsafe.Pointer(&s[8]))) }

// Addr returns si_addr of a fault.
func (s *SigInfo) Addr() uint64 { return *(*uint64)(unsafe.Pointer(&s[16])) }

// Syscall returns si_syscall of a SIGSYS.
func (s *SigInfo) Syscall() int32 { return *(*int32)(unsafe.Pointer(&s[24])) }

// GetSigInfo reads the siginfo of a signal-delivery-stop. EINVAL means that
// the stop is a group stop.
func GetSigInfo(tid int, s *SigInfo) error {
	err := callPtr(unix.PTRACE_GETSIGINFO, tid, 0, unsafe.Pointer(s))
	return err
}

// SetSigInfo replaces the siginfo of a signal-delivery-stop.
func SetSigInfo(tid int, s *SigInfo) error {
	err := callPtr(unix.PTRACE_SETSIGINFO, tid, 0, unsafe.Pointer(s))
	return err
}

// SigMask returns the blocked signals of a stopped thread, bit n-1 for n.
func SigMask(tid int) (uint64, error) {
	var v uint64
	err := callPtr(reqGetSigMask, tid, 8, unsafe.Pointer(&v))
	return v, err
}

// SetSigMask sets the blocked signals of a stopped thread.
func SetSigMask(tid int, mask uint64) error {
	err := callPtr(reqSetSigMask, tid, 8, unsafe.Pointer(&mask))
	return err
}

// wNoThread is __WNOTHREAD (linux/wait.h): other threads of this process don't count.
const wNoThread = 0x20000000

// wait4 waits for a stop or an end of tid, or of any tracee with -1, blocking
// the thread unknown to the Go scheduler: handing its place to another and
// taking it back costs more than a stop. It looks only at what the calling
// thread traces. EINTR is an error.
func wait4(tid, flags int) (int, unix.WaitStatus, error) {
	var st unix.WaitStatus
	r, _, e := syscall.RawSyscall6(unix.SYS_WAIT4, uintptr(tid), uintptr(unsafe.Pointer(&st)), uintptr(unix.WALL|wNoThread|flags), 0, 0, 0)
	if e != 0 {
		return 0, 0, e
	}
	return int(r), st, nil
}

// WaitFor waits for a stop or an end of one tracee.
func WaitFor(tid int) (int, unix.WaitStatus, error) {
	for {
		w, st, err := wait4(tid, 0)
		if err != unix.EINTR {
			return w, st, err
		}
	}
}

// Reap takes the status of a thread that has ended, whichever thread of this process
// traces it, and does not wait for one that has not.
func Reap(tid int) {
	syscall.RawSyscall6(unix.SYS_WAIT4, uintptr(tid), 0, unix.WALL|unix.WNOHANG, 0, 0, 0)
}

// Yield gives the processor to a thread that is pinned to the same one.
func Yield() { syscall.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// Event returns the PTRACE_EVENT number of a stop, 0 if it is none.
func Event(st unix.WaitStatus) int { return int(uint32(st)>>16) & 0xff }

// Describe renders a wait status for messages.
func Describe(st unix.WaitStatus) string {
	switch {
	case st.Exited():
		return fmt.Sprintf("exited with %d", st.ExitStatus())
	case st.Signaled():
		return fmt.Sprintf("killed by %s", unix.SignalName(st.Signal()))
	case st.Stopped() && Event(st) != 0:
		return fmt.Sprintf("stopped by ptrace event %d (signal %d)", Event(st), int(st.StopSignal())&0x7f)
	case st.Stopped() && st.StopSignal() == SyscallStop:
		return "stopped at a system call"
	case st.Stopped():
		return fmt.Sprintf("stopped by %s", unix.SignalName(st.StopSignal()))
	}
	return fmt.Sprintf("wait status %#x", uint32(st))
}
