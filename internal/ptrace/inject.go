//go:build linux

package ptrace

import (
	"fmt"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/sys"
)

// atCall leads a stopped thread to the gadget at pc with the registers of a call. saved
// are those that it had.
func atCall(tid int, pc uint64, nr uint64, args [6]uint64) (saved, r linux.Regs, err error) {
	if err := GetRegs(tid, &saved); err != nil {
		return saved, r, fmt.Errorf("inject syscall %d: read registers: %w", nr, err)
	}
	r = saved
	r.SetMode()
	r.SetPC(pc)
	r.SetCall(nr, args)
	if err := SetRegs(tid, &r); err != nil {
		return saved, r, fmt.Errorf("inject syscall %d: set registers: %w", nr, err)
	}
	return saved, r, nil
}

// Inject makes stopped thread tid execute system call nr from the gadget at
// pc, and puts its registers back. Other stops that arrive meanwhile
// (signals) are handed to other, which returns nil to go on. The result is
// the raw one, -errno on failure.
func Inject(tid int, pc uint64, nr uint64, args [6]uint64, other func(unix.WaitStatus) error) (int64, error) {
	saved, r, err := atCall(tid, pc, nr, args)
	if err != nil {
		return 0, err
	}
	for {
		if err := Cont(tid, 0); err != nil {
			return 0, fmt.Errorf("inject syscall %d: %w", nr, err)
		}
		_, st, err := WaitFor(tid)
		if err != nil {
			return 0, fmt.Errorf("inject syscall %d: wait: %w", nr, err)
		}
		if st.Stopped() && st.StopSignal() == unix.SIGTRAP && Event(st) == 0 {
			if err := GetRegs(tid, &r); err != nil {
				_ = SetRegs(tid, &saved) // as in InjectStopsBy
				return 0, fmt.Errorf("inject syscall %d: read result: %w", nr, err)
			}
			if r.PC() == pc+uint64(len(Gadget)) {
				break
			}
		}
		if !st.Stopped() {
			return 0, fmt.Errorf("inject syscall %d: thread %d %s: %w", nr, tid, Describe(st), unix.ESRCH)
		}
		if other == nil {
			return 0, fmt.Errorf("inject syscall %d: thread %d %s", nr, tid, Describe(st))
		}
		if err := other(st); err != nil {
			return 0, err
		}
	}
	ret := r.Result()
	if err := SetRegs(tid, &saved); err != nil {
		return ret, fmt.Errorf("inject syscall %d: restore registers: %w", nr, err)
	}
	return ret, nil
}

// ExitThread ends a stopped thread by exit(2), made at the gadget at pc.
func ExitThread(tid int, pc uint64) error {
	var r linux.Regs
	if err := GetRegs(tid, &r); err != nil {
		return fmt.Errorf("read registers: %w", err)
	}
	r.SetMode()
	r.SetPC(pc)
	r.SetCall(sys.SYS_EXIT, [6]uint64{})
	if err := SetRegs(tid, &r); err != nil {
		return fmt.Errorf("set registers: %w", err)
	}
	const most = 8 // stops for what was pending
	for range most {
		if err := Cont(tid, 0); err != nil {
			return err
		}
		_, st, err := WaitFor(tid)
		if err != nil {
			return err
		}
		if !st.Stopped() {
			return nil
		}
	}
	return fmt.Errorf("the thread stops again and again")
}

// InjectStops is Inject by system call stops instead of the int3: for a thread
// whose program may block or ignore SIGTRAP, which a trap would undo. It takes
// twice the stops.
func InjectStops(tid int, pc uint64, nr uint64, args [6]uint64, other func(unix.WaitStatus) error) (int64, error) {
	return InjectStopsBy(func(tid int) (unix.WaitStatus, error) {
		_, st, err := WaitFor(tid)
		return st, err
	}, tid, pc, nr, args, other)
}

// InjectStopsBy is InjectStops with a way of its own to wait for the thread. The end of a
// process is reported only once those of its other threads were: who waits for nothing but
// its first one, while somebody kills it, waits for ever.
func InjectStopsBy(wait func(tid int) (unix.WaitStatus, error), tid int, pc uint64, nr uint64, args [6]uint64, other func(unix.WaitStatus) error) (int64, error) {
	saved, _, err := atCall(tid, pc, nr, args)
	if err != nil {
		return 0, err
	}
	for stops := 0; stops < 2; {
		if err := Syscall(tid, 0); err != nil {
			return 0, fmt.Errorf("inject syscall %d: %w", nr, err)
		}
		st, err := wait(tid)
		switch {
		case err != nil:
			return 0, fmt.Errorf("inject syscall %d: wait: %w", nr, err)
		case !st.Stopped():
			return 0, fmt.Errorf("inject syscall %d: thread %d %s: %w", nr, tid, Describe(st), unix.ESRCH)
		case st.StopSignal() == SyscallStop:
			stops++
			continue
		case other == nil:
			return 0, fmt.Errorf("inject syscall %d: thread %d %s", nr, tid, Describe(st))
		}
		if err := other(st); err != nil {
			return 0, err
		}
	}
	ret, err := Result(tid)
	if err != nil {
		_ = SetRegs(tid, &saved) // it stands behind the call: let go, it has to be where it was
		return 0, fmt.Errorf("inject syscall %d: read result: %w", nr, err)
	}
	if err := SetRegs(tid, &saved); err != nil {
		return ret, fmt.Errorf("inject syscall %d: restore registers: %w", nr, err)
	}
	return ret, nil
}
