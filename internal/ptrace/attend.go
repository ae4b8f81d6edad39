//go:build linux

package ptrace

import (
	"fmt"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelSigaction is struct kernel_sigaction (asm/signal.h).
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
// time-out, so SIGUSR2, which an alarm sends, has to interrupt it, which
// SA_RESTART would prevent. Its handler does nothing: Go's would wake another
// thread to tell a channel.
var adaptSignals = sync.OnceFunc(func() {
	change(unix.SIGUSR2, func(sa *kernelSigaction) { sa.handler, sa.flags = returnsPC(), sa.flags&^saRestart })
	change(unix.SIGCHLD, func(sa *kernelSigaction) { sa.flags |= saNoCldStop })
})

func change(sig unix.Signal, how func(*kernelSigaction)) {
	var sa kernelSigaction
	if _, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), 0, uintptr(unsafe.Pointer(&sa)), 8, 0, 0); e != 0 {
		return
	}
	how(&sa)
	syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&sa)), 0, 8, 0, 0)
}

// alarm is a timer of the kernel's that interrupts the calls of one thread.
type alarm struct{ id int32 }

// newAlarm makes an alarm for the calling thread, which must be locked to its
// goroutine.
func newAlarm() (alarm, error) {
	adaptSignals()
	ev := sigevent{signo: int32(unix.SIGUSR2), notify: sigevThreadID, tid: int32(unix.Gettid())}
	var a alarm
	if _, _, e := syscall.RawSyscall(unix.SYS_TIMER_CREATE, unix.CLOCK_MONOTONIC, uintptr(unsafe.Pointer(&ev)), uintptr(unsafe.Pointer(&a.id))); e == unix.EAGAIN {
		return a, fmt.Errorf("make a timer: %w: this user may have no more of them, or of signals that wait (ulimit -i)", e)
	} else if e != 0 {
		return a, fmt.Errorf("make a timer: %w", e)
	}
	return a, nil
}

// set makes the alarm go off after a time, and then every so often: one that
// comes just before a call that it should interrupt is lost.
func (a alarm) set(after, every time.Duration) error {
	spec := [2]unix.Timespec{unix.NsecToTimespec(int64(every)), unix.NsecToTimespec(int64(max(after, 1)))}
	if _, _, e := syscall.RawSyscall6(unix.SYS_TIMER_SETTIME, uintptr(a.id), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); e != 0 {
		return fmt.Errorf("set a timer: %w", e)
	}
	return nil
}

func (a alarm) close() { syscall.RawSyscall(unix.SYS_TIMER_DELETE, uintptr(a.id), 0, 0) }

// Attend prepares the calling thread, which must be locked to its goroutine,
// for tracing without Waits: from now on its waits are interrupted every so
// often, so that a wait, which the Go scheduler does not know of, holds up a
// garbage collection no longer than that. The function returned ends it.
func Attend(every time.Duration) (func(), error) {
	a, err := newAlarm()
	if err != nil {
		return nil, err
	}
	if err := a.set(every, every); err != nil {
		a.close()
		return nil, err
	}
	return a.close, nil
}

// NewWaits prepares the calling thread, which must be locked to its goroutine,
// for tracing. Close ends it.
func NewWaits() (*Waits, error) {
	a, err := newAlarm()
	if err != nil {
		return nil, err
	}
	return &Waits{k: &linuxKernel{alarm: a}}, nil
}

// Close gives back what NewWaits took from the kernel.
func (w *Waits) Close() {
	if k, ok := w.k.(*linuxKernel); ok {
		k.close()
	}
}

// linuxKernel is the kernel of Waits.
type linuxKernel struct{ alarm }

// alarmAgain is how soon an alarm that was lost comes again.
const alarmAgain = 2 * time.Millisecond

func (k *linuxKernel) wait(tid int, block bool) (int, unix.WaitStatus, error) {
	if block {
		return wait4(tid, 0)
	}
	return wait4(tid, unix.WNOHANG)
}

func (k *linuxKernel) now() time.Time { return time.Now() }

func (k *linuxKernel) ring(at time.Time) error { return k.set(time.Until(at), alarmAgain) }
