package ptrace

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelSigaction is struct kernel_sigaction of x86-64 (asm/signal.h).
type kernelSigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	saNoCldStop = 0x1
	saRestart   = 0x10000000
)

// sigevThreadID is SIGEV_THREAD_ID of sigevent(3type).
const sigevThreadID = 4

// sigevent is struct sigevent as timer_create(2) takes it (asm-generic/siginfo.h).
type sigevent struct {
	value  uint64
	signo  int32
	notify int32
	tid    int32
	_      [44]byte
}

// adaptSignals changes two handlers that Go has installed. The kernel sends
// the tracer a SIGCHLD for each stop of a tracee, unless SA_NOCLDSTOP is set;
// handling one costs more than the rest of a stop. And wait4(2) has no
// time-out, so SIGUSR2, which Attend's timer sends, has to interrupt it, which
// SA_RESTART would prevent.
var adaptSignals = sync.OnceFunc(func() {
	signal.Notify(make(chan os.Signal, 1), unix.SIGUSR2)
	changeFlags(unix.SIGUSR2, 0, saRestart)
	changeFlags(unix.SIGCHLD, saNoCldStop, 0)
})

func changeFlags(sig unix.Signal, set, clear uint64) {
	var sa kernelSigaction
	if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(&sa)), 8, 0, 0); e != 0 {
		return
	}
	sa.flags = sa.flags&^clear | set
	syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&sa)), 0, 8, 0, 0)
}

// Attend prepares the calling thread, which must be locked to its goroutine,
// for tracing: from now on its waits are interrupted every so often, so that
// Wait can return for what is due by the clock, and so that a wait, which the
// Go scheduler does not know of, holds up a garbage collection no longer than
// that. The function returned ends it.
func Attend(every time.Duration) (func(), error) {
	adaptSignals()
	ev := sigevent{signo: int32(unix.SIGUSR2), notify: sigevThreadID, tid: int32(unix.Gettid())}
	var id int32
	if _, _, e := syscall.RawSyscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&ev)), uintptr(unsafe.Pointer(&id))); e != 0 {
		return nil, fmt.Errorf("make a timer: %w", e)
	}
	t := unix.NsecToTimespec(int64(every))
	spec := [2]unix.Timespec{t, t}
	if _, _, e := syscall.RawSyscall6(unix.SYS_TIMER_SETTIME, uintptr(id), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); e != 0 {
		return nil, fmt.Errorf("set a timer: %w", e)
	}
	return func() { syscall.RawSyscall(unix.SYS_TIMER_DELETE, uintptr(id), 0, 0) }, nil
}
