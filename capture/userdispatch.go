package capture

import (
	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// Syscall User Dispatch turns a thread's system calls into SIGSYS, except for those made
// in the calls area. From Linux 6.4 on the recorder sets it by ptrace, at any stop and
// with nothing left of it. Since 5.11 a thread can only set it for itself, by prctl(2):
// the recorder has it make that call once, with a byte of the calls area by which the
// kernel is told, at each call, whether it holds (the selector). To change that byte
// costs as much as a request of ptrace, where two calls more would cost eight stops.

// Values of a selector, and of prctl (linux/prctl.h).
const (
	selectAllow = 0 // SYSCALL_DISPATCH_FILTER_ALLOW
	selectBlock = 1 // SYSCALL_DISPATCH_FILTER_BLOCK
	dispatchOff = 0 // PR_SYS_DISPATCH_OFF
	dispatchOn  = 1 // PR_SYS_DISPATCH_ON
)

// A Dispatch is how Syscall User Dispatch is set.
type Dispatch uint8

const (
	// DispatchAny is by ptrace where the kernel can, else by prctl.
	DispatchAny Dispatch = iota
	// DispatchCall is by prctl, as on kernels from 5.11 to 6.3.
	DispatchCall
)

// dispatching says whether the system calls of a thread become SIGSYS.
type dispatching struct {
	// dispatch: they do. dispatched: they did since the last one that stopped as a
	// call, and the SIGSYS of one may be on its way.
	dispatch, dispatched bool
	// selector is the address of the byte that says so, where the kernel has to be
	// told by one.
	selector uint64
	// tellsExit: it stops where it comes to its end. last is what its buffers held there.
	tellsExit bool
	last      *lastCalls
}

// setFast lets a stopped thread, about to be resumed with a signal or 0, run with
// buffered calls or without. It reports which.
func (r *recorder) setFast(t *task, on bool, sig int) (bool, error) {
	p := t.proc
	if on && !t.dispatch {
		var err error
		if on, err = r.beginDispatch(t, sig); err != nil {
			return false, err
		}
	}
	if !on {
		if err := r.endDispatch(t); err != nil {
			return false, err
		}
	}
	if on {
		if err := r.permit(t); err != nil {
			return false, err
		}
		if err := r.tellReady(t); err != nil {
			return false, err
		}
	}
	if p.fast != on {
		mode := []byte{0, 0, 0, 0}
		if on {
			mode[0] = 1
		}
		if err := ptrace.Write(t.tid, p.calls.img.Mode, mode); err != nil {
			return false, err
		}
		p.fast = on
	}
	return on, nil
}

// built is how calls are recorded where Options leave it open. All tests run with another
// value in a build that has it: -ldflags "-X pyrr/capture.built=off", or prctl.
var built = "on"

// beginDispatch makes the system calls of a stopped thread, about to be resumed with
// sig, end in a SIGSYS. It reports whether they do: where the kernel can't, calls are
// not buffered any more.
func (r *recorder) beginDispatch(t *task, sig int) (bool, error) {
	pass := t.proc.calls.img.Pass
	if r.o.Dispatch == DispatchAny {
		err := ptrace.Dispatch(t.tid, pass.Addr, pass.Len)
		switch {
		case err == nil:
			t.dispatch, t.dispatched = true, true
			return true, nil
		case ptrace.Gone(err):
			return false, err
		}
		r.o.Dispatch = DispatchCall // this kernel does not have it
	}
	if t.selector == 0 {
		if sig != 0 {
			return false, nil // a call now would lose what the signal says of itself
		}
		if ok, err := r.takeSelector(t); !ok || err != nil {
			return false, err
		}
	}
	if err := ptrace.Write(t.tid, t.selector, []byte{selectBlock}); err != nil {
		return false, err
	}
	t.dispatch, t.dispatched = true, true
	return true, nil
}

// takeSelector gives a thread a selector, and has it tell the kernel.
func (r *recorder) takeSelector(t *task) (bool, error) {
	at, ok := t.proc.freeSelector()
	if !ok {
		return false, nil
	}
	if err := ptrace.Write(t.tid, at, []byte{selectAllow}); err != nil {
		return false, err
	}
	pass := t.proc.calls.img.Pass
	had := len(t.deferred)
	t.stopped = true // again, as far as it goes
	ret, err := r.inject(t, t.proc.area.Gadget, sys.SYS_PRCTL, unix.PR_SET_SYSCALL_USER_DISPATCH, dispatchOn, pass.Addr, pass.Len, at, 0)
	if err != nil {
		return false, err
	}
	t.stopped = false
	if len(t.deferred) > had && t.proc.clock != nil {
		if err := r.armAnywhere(t, 0); err != nil { // for a signal that came meanwhile
			return false, err
		}
	}
	if ret != 0 {
		r.noBuffer = true // before 5.11, or somebody forbids it
		return false, nil
	}
	t.selector = at
	return true, nil
}

// freeSelector returns the address of a selector that no thread of the process has.
func (p *process) freeSelector() (uint64, bool) {
	var used [inject.Selectors]bool
	first := p.calls.img.Selectors
	if first == 0 {
		return 0, false
	}
	for _, t := range p.tasks {
		if t.selector >= first && t.selector < first+inject.Selectors {
			used[t.selector-first] = true
		}
	}
	for i, u := range used {
		if !u {
			return first + uint64(i), true
		}
	}
	return 0, false
}

// dropSelector takes back what takeSelector told the kernel, of a thread that is let
// go outside of any call. One that is in a call keeps it: its selector says that all
// calls are allowed, for as long as it lives.
func (r *recorder) dropSelector(t *task) {
	if t.selector == 0 || t.proc == nil || t.proc.area == nil || t.sys.open() || ptrace.AtEntry(t.tid) {
		return
	}
	ret, err := r.inject(t, t.proc.area.Gadget, sys.SYS_PRCTL, unix.PR_SET_SYSCALL_USER_DISPATCH, dispatchOff, 0, 0, 0, 0)
	if err == nil && ret == 0 {
		t.selector = 0
	}
}

// endDispatch lets a stopped thread make system calls again.
func (r *recorder) endDispatch(t *task) error {
	if !t.dispatch {
		return nil
	}
	t.dispatch = false
	if t.selector != 0 {
		return ptrace.Write(t.tid, t.selector, []byte{selectAllow})
	}
	return ptrace.EndDispatch(t.tid)
}

// atDispatch reports whether a thread whose stop is for a signal, of which t.info says
// what it is, was about to make a system call. Where the program blocks SIGSYS, another
// one may have waited for the thread: the kernel's was merged with it then, and nothing
// but a trap delivers it.
func (r *recorder) atDispatch(t *task) bool {
	switch {
	case !t.dispatched || t.info.Signo() != int(unix.SIGSYS):
		return false
	case t.info.Code() == ptrace.SysUserDispatch:
		return true
	}
	r.takeMask(t)
	return t.info.Code() <= 0 && t.blocked&(1<<(unix.SIGSYS-1)) != 0
}

// callAgain handles a system call that the kernel turned into a SIGSYS: it
// is made again, and stops this time.
func (r *recorder) callAgain(t *task) error {
	t.sigstop = int(unix.SIGSYS)
	if err := r.unforce(t); err != nil {
		return err
	}
	if err := r.takeBack(t); err != nil {
		return err
	}
	t.stopped = false
	return ptrace.Syscall(t.tid, 0)
}

// takeBack leads a thread at such a SIGSYS back to its system call.
func (r *recorder) takeBack(t *task) error {
	if err := r.endDispatch(t); err != nil {
		return err
	}
	// si_call_addr is the address behind the instruction, where the thread stands.
	at := t.info.Addr()
	if t.info.Code() != ptrace.SysUserDispatch {
		pc, err := ptrace.PC(t.tid)
		if err != nil {
			return err
		}
		at = pc
	}
	return ptrace.SetPC(t.tid, linux.BeforeCallAt(at))
}
