package capture

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// The signals of pyrr's own traps. A fault is delivered even to a program that
// blocks or ignores its signal: the kernel then unblocks the signal for ever and
// takes the handler away (force_sig_info_to_task, kernel/signal.c). The program
// must not notice, so both are put back.
var trapSignals = [...]int{int(unix.SIGTRAP), int(unix.SIGILL), int(unix.SIGSEGV), int(unix.SIGSYS)}

const trapMask = 1<<(unix.SIGTRAP-1) | 1<<(unix.SIGILL-1) | 1<<(unix.SIGSEGV-1) | 1<<(unix.SIGSYS-1)

// sigactionSize is the size of the kernel's struct sigaction: handler, flags,
// restorer and mask.
const sigactionSize = 32

// sigIgn is the handler SIG_IGN.
const sigIgn = 1

// actions holds what a process does about the signals of traps, as it told the
// kernel last. Signals that are not in it have the default action.
type actions map[int][sigactionSize]byte

// note keeps what a returned call did to the state of its thread in the kernel
// that matters later.
func (r *recorder) note(t *task) error {
	switch t.ev.Nr {
	case sys.SYS_SET_ROBUST_LIST:
		if t.lastRet == 0 {
			t.robust = t.ev.Args[0]
		}
	case sys.SYS_SET_TID_ADDRESS:
		t.ctid = t.ev.Args[0]
	case sys.SYS_RT_SIGPROCMASK:
		t.proc.masks = true
		return r.noteMask(t)
	case sys.SYS_RT_SIGRETURN:
		return r.noteMask(t)
	case sys.SYS_RT_SIGACTION:
		if t.pid != t.proc.pid {
			return nil // a vfork child has handlers of its own
		}
		sig := int(int32(t.ev.Args[0]))
		if !slices.Contains(trapSignals[:], sig) || t.lastRet != 0 || t.ev.Args[1] == 0 {
			return nil
		}
		var act [sigactionSize]byte
		if err := (ptrace.Mem)(t.tid).ReadAt(act[:], t.ev.Args[1]); err != nil {
			return fmt.Errorf("read what to do about signal %d: %w", sig, err)
		}
		if t.proc.actions == nil {
			t.proc.actions = actions{}
		}
		t.proc.actions[sig] = act
	}
	return nil
}

// noteMask keeps which signals of traps a thread blocks.
func (r *recorder) noteMask(t *task) error {
	mask, err := ptrace.SigMask(t.tid)
	if err != nil {
		return err
	}
	t.blocked = mask & trapMask
	return nil
}

// takeMask is noteMask of a mask that a buffered call has set, of which the thread's
// process knows: the kernel's own may have changed by a trap since.
func (r *recorder) takeMask(t *task) error {
	if t.proc.calls == nil || !t.proc.masks {
		return nil
	}
	at := t.proc.calls.img.Mask
	cell, err := mem.U64(ptrace.Mem(t.tid), at)
	if err != nil {
		return err
	}
	if mask, ok := inject.NewMask(cell); ok {
		t.blocked = mask & trapMask
		return ptrace.WriteU64(t.tid, at, 0)
	}
	return nil
}

// noteInherited reads what a program that was just executed blocks and ignores.
func (r *recorder) noteInherited(t *task) error {
	if err := r.noteMask(t); err != nil {
		return err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", t.pid))
	if err != nil {
		return unix.ESRCH
	}
	t.proc.actions = nil
	_, rest, _ := strings.Cut(string(b), "SigIgn:")
	line, _, _ := strings.Cut(rest, "\n")
	ignored, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if err != nil {
		return fmt.Errorf("read the ignored signals of process %d: %w", t.pid, err)
	}
	for _, sig := range trapSignals {
		if ignored&(1<<(sig-1)) != 0 {
			var act [sigactionSize]byte
			binary.LittleEndian.PutUint64(act[:], sigIgn)
			if t.proc.actions == nil {
				t.proc.actions = actions{}
			}
			t.proc.actions[sig] = act
		}
	}
	return nil
}

// unforce puts back what the kernel changed to deliver the trap that t is
// stopped at.
func (r *recorder) unforce(t *task) error {
	if err := r.takeMask(t); err != nil {
		return err
	}
	sig := t.sigstop
	bit := uint64(1) << (sig - 1)
	act, acted := t.proc.actions[sig]
	ignored := acted && binary.LittleEndian.Uint64(act[:]) == sigIgn
	if t.blocked&bit == 0 && !ignored {
		return nil
	}
	info := t.info
	if acted {
		at := t.proc.area.Scratch()
		if err := ptrace.Write(t.tid, at, act[:]); err != nil {
			return err
		}
		ret, err := r.inject(t, t.proc.area.Gadget, sys.SYS_RT_SIGACTION, uint64(sig), at, 0, 8, 0, 0)
		if err != nil {
			return err
		}
		if ret != 0 {
			return fmt.Errorf("restore the handler of signal %d: %w", sig, errnoOf(ret))
		}
	}
	if err := t.blockAgain(bit); err != nil {
		return err
	}
	t.sigstop = sig
	t.info = info
	if info.Code() <= 0 {
		// The program's own signal was waiting for the thread, and the trap was
		// merged with it: it waits again.
		t.redirected = append(t.redirected, info)
		return unix.Tgkill(t.pid, t.tid, unix.Signal(sig))
	}
	return nil
}

// blockAgain blocks a signal of a trap that the thread blocked before the trap.
func (t *task) blockAgain(bit uint64) error {
	if t.blocked&bit == 0 {
		return nil
	}
	mask, err := ptrace.SigMask(t.tid)
	if err != nil {
		return err
	}
	return ptrace.SetSigMask(t.tid, mask|bit)
}

// backOut has a thread that waits in the midst of a buffered call, and was cut short there,
// make it with a stop.
func (r *recorder) backOut(t *task, regs *linux.Regs) error {
	if t.proc.calls == nil || t.sys != callNone {
		return nil
	}
	again, ok := t.proc.calls.img.BackOut(ptrace.Mem(t.tid), regs.PC(), uint64(regs.Result()))
	if !ok {
		return nil
	}
	regs.SetResult(int64(again))
	regs.NoCall() // or the kernel made it again
	return ptrace.SetRegs(t.tid, regs)
}

// rouse interrupts the thread of a process that seems to compute, and waits in the midst of a
// buffered call: backOut then has it come to where that call is seen. Where others are ready,
// lookForSpins does so.
func (r *recorder) rouse(p *process) {
	if t := p.cur; p.mode == modeRecord && p.calls != nil && t != nil && len(p.ready) == 0 && !t.stopped && t.computing() && r.kernel.sleeping(t.tid) {
		t.probed = ptrace.Interrupt(t.tid) == nil
	}
}
