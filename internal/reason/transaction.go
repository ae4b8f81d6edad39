package reason

import (
	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
)

// transactionOf finds what may keep the server of a database from answering a thread: a
// transaction that is open on another connection to it, nil for none. Of several it is
// the one that began first.
func transactionOf(state *logview.State, index *recording.StackIndex, w *Waiting) *hang.Owner {
	if state == nil {
		return nil
	}
	p := state.Proc(w.Proc.ID)
	if p == nil || p.Thread(w.TID) == nil {
		return nil
	}
	wants := p.Wants(p.Thread(w.TID))
	if len(wants) != 1 || wants[0].File == nil || !wants[0].File.Database() || wants[0].File.Remote == "" {
		return nil
	}
	mine := wants[0].File
	var first logview.Moment
	for _, f := range state.Files {
		if f == mine || f.Kind != linux.ObjSocket || f.Remote != mine.Remote || f.Closed() {
			continue
		}
		if at, open := f.Transaction(); open && (first.Proc == 0 || at.Time < first.Time) {
			first = at
		}
	}
	if first.Proc == 0 {
		return nil
	}
	return ownerAt(index, "a transaction", first)
}

// ownerAt is who made a call, and at which line of the program.
func ownerAt(index *recording.StackIndex, what string, at logview.Moment) *hang.Owner {
	out := &hang.Owner{What: what, Proc: at.Proc, TID: at.TID, Event: at.Pos.Event}
	if index == nil {
		return out
	}
	if st, ok := stackAt(index, at.Proc, at.TID, at.Pos.Event); ok {
		if f, ok := OwnFrame(st); ok {
			out.Where = &hang.Frame{Func: f.Func, File: f.File, Line: f.Line}
		}
	}
	return out
}
