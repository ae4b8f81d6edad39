package reason

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	unix "pyrr/internal/sys"
)

// deathOf says how the first process of a recording ended, nil where it hangs, is a
// test's, or ended well. Programs that it became by exec count as it.
func deathOf(rec *recording.Recording, all []Ending) (*hang.Death, stack.Stack) {
	var last *Ending
	for i := range all {
		e := &all[i]
		if e.Why == recording.EndTimeout {
			return nil, stack.Stack{} // it hung
		}
		if last == nil || e.Proc.PID == last.Proc.PID {
			last = e
		}
	}
	if last == nil || last.Why != recording.EndExited || last.Status == 0 {
		return nil, stack.Stack{}
	}
	d := &hang.Death{Proc: last.Proc.ID, Event: last.At.Event}
	status := unix.WaitStatus(last.Status)
	if status.Signaled() {
		d.Signal = linux.Signal(int(status.Signal()))
	} else {
		d.Status = status.ExitStatus()
	}
	var tid int32
	err := logview.Each(rec, &last.Proc, func(f *logview.Follower, n uint64, ev *recording.Event, _ logview.Step) error {
		switch {
		case ev.Kind == recording.KindSignal && ev.SigInfo().Raised() && d.Signal == linux.Signal(int(ev.Nr)):
			// What somebody sent is none: faulthandler's handler raises it once more.
			d.Fault, d.Addr, d.Event, tid = true, ev.SigInfo().Addr(), n, ev.TID
		case ev.Kind == recording.KindEnter && ev.Nr == unix.SYS_EXIT_GROUP:
			d.Event, tid = n, ev.TID
		case !d.Fault && ev.Kind == recording.KindSyscall && sendsTo(last, ev, d.Signal):
			d.Event, tid = n, ev.TID
		}
		return nil
	})
	if err != nil {
		return nil, stack.Stack{}
	}
	index, err := rec.StackIndex()
	if err != nil {
		index = nil
	}
	if tid == 0 {
		tid = int32(last.Proc.PID)
	}
	var st stack.Stack
	if index != nil && d.Event > 0 {
		st, _, _ = index.Stack(last.Proc.ID, tid, d.Event)
	}
	if len(st.Frames) == 0 || d.Signal != "" && !d.Fault && d.Signal != "SIGABRT" {
		for i := range last.Threads {
			if w := &last.Threads[i]; w.TID == tid {
				st = w.Stack
			}
		}
	}
	framesOf(d, st)
	d.Aside = tid != int32(last.Proc.PID)
	if d.Signal != "" && !d.Fault {
		sentBy(rec, all, last, d)
	}
	if last.Facts != nil && last.Facts.Exit != nil && d.Signal == "" && len(d.Frames) == 0 {
		// Where os._exit ended it, that stands on the stack.
		d.Exit = last.Facts.Exit
		st = stack.Stack{}
		for _, f := range d.Exit.Frames {
			st.Frames = append(st.Frames, stack.Frame{Kind: stack.Python, Func: f.Func, File: f.File, Line: f.Line})
		}
		d.Frames = d.Exit.Frames
	}
	return d, st
}

// framesOf notes what of a stack says how a process ended.
func framesOf(d *hang.Death, st stack.Stack) {
	pyExit := false
	for _, f := range st.Frames {
		pyExit = pyExit || f.Func == "Py_Exit"
		if f.Kind == stack.Python {
			d.Frames = append(d.Frames, hang.Frame{Func: f.Func, File: f.File, Line: f.Line})
		} else if strings.Contains(strings.ToLower(strings.ReplaceAll(f.Func, "_", "")), "handlesystemexit") || strings.Contains(f.Func, "PyErr_PrintEx") {
			d.SysExit = true
		} else if d.Call == "" && f.Func != "" && f.Func != "??" && len(d.Frames) == 0 && !f.Eval {
			d.Call = f.Func
		}
	}
	// Where what handles SystemExit has no name, it calls this, in no code of Python.
	d.SysExit = d.SysExit || pyExit && len(d.Frames) == 0
}

// sendsTo reports whether a call sends a signal to a process, to its group or to a
// thread of it.
func sendsTo(target *Ending, ev *recording.Event, signal string) bool {
	pid, thread, sig, pidfd, ok := linux.Sends(int(ev.Nr), ev.Args)
	if !ok || pidfd || linux.Signal(sig) != signal {
		return false
	}
	if pid == 0 && thread != 0 { // tkill(2) names a thread alone
		return thread == target.Proc.PID || slices.ContainsFunc(target.Threads, func(t Waiting) bool { return int(t.TID) == thread })
	}
	return pid == target.Proc.PID || pid < -1 && -pid == target.Proc.PID
}

// sentBy finds who sent a signal that killed a process, of those in the recording.
func sentBy(rec *recording.Recording, all []Ending, target *Ending, d *hang.Death) {
	for i := range all {
		from := &all[i]
		if logview.Each(rec, &from.Proc, func(_ *logview.Follower, n uint64, ev *recording.Event, _ logview.Step) error {
			if ev.Kind != recording.KindSyscall && ev.Kind != recording.KindEnter || ev.Ret < 0 {
				return nil
			}
			if !sendsTo(target, ev, d.Signal) {
				return nil
			}
			d.By, d.ByProc, d.ByEvent = "the process itself", from.Proc.ID, n
			if from.Proc.ID != target.Proc.ID {
				d.By = fmt.Sprintf("child %d", from.Proc.PID)
				if from.Proc.ID < target.Proc.ID {
					d.By = fmt.Sprintf("process %d", from.Proc.PID)
				}
			} else if d.Signal == "SIGABRT" {
				d.By = ""
			}
			return nil
		}) != nil {
			return
		}
	}
}

// cut notes of a process that a thread of a package ended, or one without Python code, while
// its main thread waited, that it was stopped: such threads look after others, as pytest-timeout's
// and faulthandler's do. nil is for a process that ended otherwise.
func cut(all []Ending, d *hang.Death, short func(string) string) *Ending {
	if d == nil || !d.Aside || d.Signal != "" {
		return nil
	}
	by := "a thread without Python code"
	for k := len(d.Frames) - 1; k >= 0; k-- {
		switch f := d.Frames[k]; {
		case !hang.Machinery(f.File) && !hang.Library(f.File):
			return nil // the program's own code
		case hang.Installed(f.File):
			by = fmt.Sprintf("%s (%s:%d)", f.Func, short(f.File), f.Line)
		}
	}
	for i := range all {
		if e := &all[i]; e.Proc.ID == d.Proc && e.Facts != nil && len(e.Facts.Units) > 0 {
			e.Cut = fmt.Sprintf("%s ended the process with exit status %d", by, d.Status)
			return e
		}
	}
	return nil
}
