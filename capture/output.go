package capture

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// What the program writes to what pyrr itself has as standard output or error is
// printed again by a replay, to the last byte. So a call that writes there says so
// where it is entered, with a checksum of what it was given, and its result is in
// the log as soon as the recorder knows of it: the thread may get to know it later,
// or never, when another one ends the process.

// noteOutput marks the call at hand if it writes to the command's own output.
func (r *recorder) noteOutput(t *task) {
	t.forgetMoved()
	arg, ok := linux.Gives(int(t.ev.Nr))
	if !ok {
		if _, arg, _, ok = linux.Moves(int(t.ev.Nr)); !ok {
			return
		}
	}
	fd := int(int32(t.ev.Args[arg]))
	if fd > 2 && r.outID[1] == "" && r.outID[2] == "" {
		return
	}
	key := fdKey{t.pid, fd}
	id, ok := t.proc.fds[key]
	if !ok {
		id, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, fd))
		t.proc.fds[key] = id
	}
	if t.ev.Why = r.outputOf(id, fd); t.ev.Why == "" {
		return
	}
	if _, _, _, moves := linux.Moves(int(t.ev.Nr)); moves {
		t.moved = whatMoves(t)
		return
	}
	if n := len(t.ev.In); t.ev.Nr == sys.SYS_WRITE && n > 0 && uint64(n) == t.ev.Args[2] {
		t.ev.OutSum = linux.SumOf(t.ev.In) // all of it was read already
		return
	}
	t.ev.OutSum = linux.GivenSum(int(t.ev.Nr), t.ev.Args, ptrace.Mem(t.tid))
}

// outputOf says which of the command's own outputs a descriptor is that stands for id,
// if it is one.
func (r *recorder) outputOf(id string, fd int) string {
	switch {
	case id == "":
		return ""
	case id == r.outID[2] && (fd == 2 || id != r.outID[1]):
		return recording.OutStderr
	case id == r.outID[1]:
		return recording.OutStdout
	}
	return ""
}

// printed logs the result of a call that has written to the command's own output,
// of a thread that waits for the slot.
func (r *recorder) printed(t *task, ret int64) {
	if t.ev.Why == "" || ret <= 0 || t.answered || t.strange || t.diverted != 0 || t.class != linux.Plain {
		return
	}
	if _, writes := writers[int(t.ev.Nr)]; writes && len(t.proc.shared) > 0 {
		if o, _ := r.writtenObject(t); o != nil {
			return // it may change mapped memory, which can be seen only where nobody else runs
		}
	}
	ranges, err := linux.Outputs(int(t.ev.Nr), t.ev.Args, ret, ptrace.Mem(t.tid), r.ranges[:0])
	r.ranges = ranges[:0]
	if err != nil || len(ranges) > 0 {
		return // finishCall sees to that
	}
	ev := recording.Event{
		Kind: recording.KindExit, TID: int32(t.tid), Instr: t.proc.lastInstr, Nr: t.ev.Nr, Ret: ret, Why: t.ev.Why, Time: r.since(),
	}
	if t.takeMoved(&ev) != nil {
		return // finishCall ends the recording then
	}
	t.sys.move(movePrint)
	r.log(t.proc, &ev)
}

// How long the end of a process waits for what its other threads are writing: a
// moment where nothing cuts them short.
const (
	lastWait  = 200 * time.Millisecond
	quickWait = 20 * time.Millisecond
)

// lastWrites takes what other threads of t's process are writing just now, which
// t is about to end. Where that is sure, they are interrupted, which tells how far
// those have come that wait for a reader; else only what ends by itself at once is
// waited for.
func (r *recorder) lastWrites(t *task, sure bool) {
	for _, o := range t.proc.tasks {
		if o == t || o.pid != t.pid || o.stopped || o.sys != callLogged || o.ev.Why == "" || !o.inKernel() {
			continue
		}
		patience := quickWait
		if sure {
			patience = lastWait
			if ptrace.Interrupt(o.tid) != nil {
				continue
			}
		}
		for until := time.Now().Add(patience); time.Now().Before(until); ptrace.Yield() {
			asleep := !sure && r.kernel.sleeping(o.tid)
			st, ok := r.kernel.poll(o.tid)
			if !ok {
				if asleep {
					break
				}
				continue
			}
			if ret, err := ptrace.Result(o.tid); err == nil && st.Stopped() && st.StopSignal() == ptrace.SyscallStop && !isRestart(ret) {
				r.handle(o.tid, st)
			} else {
				r.waits.Later(ptrace.Stop{TID: o.tid, Status: st})
			}
			break
		}
	}
}

// ends reports whether a signal that nothing handles ends a process (signal(7)).
func ends(sig int) bool {
	switch unix.Signal(sig) {
	case unix.SIGCHLD, unix.SIGCONT, unix.SIGURG, unix.SIGWINCH, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU:
		return false
	}
	return true
}

// killsItself reports whether t is about to send its own process SIGKILL.
func killsItself(t *task) bool {
	return t.ev.Nr == sys.SYS_KILL && t.ev.Args[1] == uint64(unix.SIGKILL) && int(int32(t.ev.Args[0])) == t.pid
}
