package capture

import (
	"encoding/binary"
	"errors"
	"fmt"

	"pyrr/cpython"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// leaveWritten ends the recording of another process whose memory a call is about
// to write, as sys.remote_exec does (process_vm_writev(2)): a replay would not have
// what is written there. That process runs on, like the one that writes.
func (r *recorder) leaveWritten(p *process, nr int, pid int32) {
	if nr != sys.SYS_PROCESS_VM_WRITEV {
		return
	}
	for _, other := range r.processes {
		if other == p || other.pid != int(pid) || other.mode != modeRecord {
			continue
		}
		err := fmt.Errorf("process %d writes its memory (process_vm_writev), which can't be recorded", p.pid)
		if r.beginsAnew(other) {
			r.endHere(other, err)
		} else {
			r.leave(other, err.Error())
		}
		return
	}
}

// errRemote ends a recording where sys.remote_exec was used on it by a process that is not
// recorded. What the program did since it stopped last may follow from that, and is left out.
var errRemote = errors.New("a process that is not recorded wrote to its memory (sys.remote_exec, pdb -p)")

// remoteWatch looks, whenever a process stops, whether another one has left a script for
// it to run (cpython.Remote). It is read with the counters, at next to no cost.
type remoteWatch struct {
	on    bool
	where cpython.Remote
	// interp and main are the main interpreter and the state of its main thread, 0 before
	// they are there.
	interp, main uint64
	seen         uint64 // what main held of a script
	fresh        bool   // main has not been looked at yet
	now          [16]byte
}

// ask adds what is to be read: first what leads there, then the place itself, and what
// leads to it still, since a fork makes another thread the main one.
func (w *remoteWatch) ask(spans []ptrace.Span) []ptrace.Span {
	switch {
	case !w.on:
		return spans
	case w.interp == 0:
		return append(spans, ptrace.Span{Addr: w.where.Head, Data: w.now[:8]})
	case w.main == 0:
		return append(spans, ptrace.Span{Addr: w.interp + w.where.Main, Data: w.now[:8]})
	}
	return append(spans, ptrace.Span{Addr: w.interp + w.where.Main, Data: w.now[:8]},
		ptrace.Span{Addr: w.main + w.where.Support, Data: w.now[8:]})
}

// came takes what was read, and says whether a script came since the last time.
func (w *remoteWatch) came() bool {
	first := binary.LittleEndian.Uint64(w.now[:8])
	switch {
	case w.interp == 0:
		w.interp = first
		return false
	case first != w.main:
		w.main, w.fresh = first, true
		return false
	}
	script := binary.LittleEndian.Uint64(w.now[8:])
	came := script != w.seen
	if w.fresh {
		came = uint32(script) != 0 // its path may be that of one that ran long ago
	}
	w.seen, w.fresh = script, false
	return came
}
