//go:build linux && amd64

package probe

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tryDispatch has the child make a call that is to end in a SIGSYS instead. From Linux
// 6.4 on its tracer can ask for that (linux/ptrace.h,
// PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG), since 5.11 the child itself.
func tryDispatch(c *child) error {
	err := dispatchByPtrace(c)
	if err == syscall.EIO || err == syscall.EINVAL {
		return dispatchByCall(c)
	}
	c.how = "by ptrace"
	return err
}

func dispatchByPtrace(c *child) error {
	const setConfig = 0x4210
	config := func(mode uint64) error {
		cfg := [4]uint64{mode, 0, 0, 0} // struct ptrace_sud_config: mode, selector, offset, len
		err := c.ptrace(setConfig, unsafe.Sizeof(cfg), uintptr(unsafe.Pointer(&cfg)))
		runtime.KeepAlive(&cfg)
		return err
	}
	if err := config(1); err != nil {
		return err
	}
	return errors.Join(c.dispatched(), config(0))
}

// dispatchByCall has the child set it by prctl(2), with a byte of its stack that
// tells the kernel whether it holds.
func dispatchByCall(c *child) error {
	const on, off, allow, block = 1, 0, 0, 1
	selector := (stackOf(&c.regs) - 256) &^ 15
	say := func(b byte) error {
		if _, err := unix.PtracePokeData(c.pid, uintptr(selector), []byte{b}); err != nil {
			return fmt.Errorf("PTRACE_POKEDATA: %w", err)
		}
		return nil
	}
	if err := say(allow); err != nil {
		return err
	}
	r, err := c.call(unix.SYS_PRCTL, unix.PR_SET_SYSCALL_USER_DISPATCH, on, 0, 0, selector)
	if err != nil {
		return err
	}
	if r != 0 {
		return wrong("this kernel can't: every system call of a recorded program is stopped at")
	}
	if err := say(block); err != nil {
		return err
	}
	err = c.dispatched()
	if back := say(allow); back != nil {
		return errors.Join(err, back)
	}
	if r, back := c.call(unix.SYS_PRCTL, unix.PR_SET_SYSCALL_USER_DISPATCH, off, 0, 0, 0); r != 0 || back != nil {
		return errors.Join(err, callFailed("prctl(PR_SET_SYSCALL_USER_DISPATCH)", r, back))
	}
	c.how = "by prctl"
	return err
}

// dispatched has the child ask for its parent's id, which is to end in a SIGSYS.
func (c *child) dispatched() error {
	regs := c.regs
	setCall(&regs, unix.SYS_GETPPID, nil)
	if err := unix.PtraceSetRegs(c.pid, &regs); err != nil {
		return fmt.Errorf("PTRACE_SETREGS: %w", err)
	}
	return c.resume(unix.PTRACE_CONT, unix.SIGSYS)
}
