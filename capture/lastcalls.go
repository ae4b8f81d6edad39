package capture

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// A process that somebody kills while it runs has calls in its buffer of which no stop
// told, and among them may be the last lines that it printed. So a thread whose calls are
// buffered stops once more where it ends, and leaves them. So does one in a call that
// stops and writes to the command's own output: killed behind it, before the recorder saw
// that it had returned, it has printed what no event tells. Threads in other calls don't:
// what they did is in the log, or has no one to whom it matters.

// lastCalls is what the buffers of a process held where the thread that ran came to its
// end, and what the write of a thread returned that stops.
type lastCalls struct {
	calls, readings []byte
	wrote           int64
}

// prints reports whether a thread is in a call that stops and writes to the command's own
// output, of whose result the log has nothing.
func (t *task) prints() bool {
	return t.ev.Why != "" && (t.sys == callInside || t.sys == callLogged)
}

// tellExit has a stopped thread stop where it ends, or not.
func (r *recorder) tellExit(t *task, on bool) {
	if t.tellsExit == on || r.attached {
		return
	}
	opts := uintptr(ptrace.Options)
	if on {
		opts |= unix.PTRACE_O_TRACEEXIT
	}
	if ptrace.SetOptions(t.tid, opts) == nil {
		t.tellsExit = on
	}
}

// exiting keeps what the buffers hold of a thread that ends. It is called wherever the
// recorder waits, so that it only reads.
func (r *recorder) exiting(tid int) {
	t := r.tasks[tid]
	if t == nil || t.proc == nil || t.proc.mode != modeRecord {
		return
	}
	if t.prints() {
		// Below 0, as the kernel sets it at the entry, where the call was not made to its end.
		if ret, err := ptrace.Result(tid); err == nil && ret > 0 {
			t.last = &lastCalls{wrote: ret}
		}
		return
	}
	if t.proc.cur != t || t.proc.calls == nil || t.proc.area == nil {
		return
	}
	var cells [16]byte
	time, img := &t.proc.area.Time, t.proc.calls.img
	spans := []ptrace.Span{{Addr: time.Count, Data: cells[:8]}, {Addr: img.Pos, Data: cells[8:]}}
	if n, err := ptrace.ReadV(tid, spans); err != nil || n < len(cells) {
		return
	}
	readings, pos := binary.LittleEndian.Uint64(cells[:]), binary.LittleEndian.Uint64(cells[8:])
	if readings > uint64(time.Cap) || pos < img.Buf || pos > img.Base+img.Size {
		return
	}
	last := &lastCalls{calls: make([]byte, pos-img.Buf), readings: make([]byte, readings*inject.ReadingSize)}
	want := len(last.calls) + len(last.readings)
	spans = []ptrace.Span{{Addr: img.Buf, Data: last.calls}, {Addr: time.Buf, Data: last.readings}}
	if n, _ := ptrace.ReadV(tid, spans); n != want {
		return
	}
	var regs linux.Regs
	if ptrace.GetRegs(tid, &regs) == nil {
		last.calls = append(last.calls, img.Unnoted(ptrace.Mem(tid), pos, regs.PC(), uint64(regs.Result()))...)
	}
	t.last = last
}

// printedTo says to which output of the command a buffered call wrote. Where both are
// one, the descriptor's number tells, as for calls that stop.
func (r *recorder) printedTo(c *inject.BufferedCall) string {
	if r.outID[1] == r.outID[2] {
		return r.outputOf(r.outID[1], int(int32(c.Args[0])))
	}
	if c.Printed == inject.FDStderr {
		return recording.OutStderr
	}
	return recording.OutStdout
}

// logLast logs the calls that a thread left which has ended.
func (r *recorder) logLast(t *task) {
	last := t.last
	if t.last = nil; last == nil {
		return
	}
	if last.wrote > 0 {
		if t.prints() {
			r.logEnter(t)
			t.sys.move(moveWait)
			r.printed(t, last.wrote)
		}
		return
	}
	// What can't be read was overwritten: the recording ends before it.
	if _, err := r.logCalls(t, last.calls, last.readings); err == nil {
		t.proc.base = max(t.proc.base, t.proc.lastInstr)
	}
}
