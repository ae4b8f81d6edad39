package capture

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// crash logs the signal of an instruction that ends the process: where that is, and
// what it did. No handler's frame comes with it, and the registers are those of the
// instruction, at which a replay stops as well.
func (r *recorder) crash(t *task, regs *linux.Regs) error {
	info := t.info
	m, err := r.momentOf(t, recording.StopTrap, regs)
	if err != nil {
		return err
	}
	if _, err := r.undivert(t, 0); err != nil {
		return err
	}
	ev := recording.Event{Kind: recording.KindSignal, Nr: int32(t.sigstop)}
	for i := range ev.Args {
		ev.Args[i] = binary.LittleEndian.Uint64(info[8*i:])
	}
	if err := r.complete(m, &ev); err != nil {
		return err
	}
	at := *regs
	ev.Regs = &at
	if ev.XState, err = ptrace.GetXState(t.tid, r.xstate); err != nil {
		return err
	}
	r.log(t.proc, &ev)
	return nil
}

// dies handles a signal that ends the process of t.
func (r *recorder) dies(t *task, sig int, regs *linux.Regs, synchronous bool) error {
	if synchronous && t.proc.cur == t {
		if err := r.crash(t, regs); err != nil {
			return err
		}
	}
	r.lastWrites(t, true)
	if synchronous && isInit(t.pid) {
		// The kernel lets no signal end it while it is traced, and its instruction would
		// raise this one for ever (kernel/signal.c, force_sig_info_to_task). On its own
		// it raises it once more, and dies.
		r.leaveBut(nil, t.proc, recording.Event{Why: recording.EndExited, Ret: int64(sig)}) // a wait status
		return nil
	}
	return r.resume(t, sig)
}

// isInit reports whether a process is the first of its PID namespace
// (pid_namespaces(7)).
func isInit(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), "NSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	ids := strings.Fields(line) // of each namespace that it is in, its own last
	return len(ids) > 0 && ids[len(ids)-1] == "1"
}
