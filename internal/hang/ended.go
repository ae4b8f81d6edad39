package hang

import (
	"fmt"
	"strings"
)

// Death is how a process ended by itself, or was ended, where no exception says why.
type Death struct {
	Proc int
	// Status is its exit status, Signal the name of what killed it, "" for none.
	Status int
	Signal string
	// Fault says that an instruction of the process raised the signal: at the address
	// Addr, if that is known (Mapped).
	Fault bool
	Addr  uint64
	// By is who sent the signal, "" where nobody in the recording did.
	By string
	// Call is the C function that it was in, Python's frames those of the thread,
	// innermost first.
	Call   string
	Frames []Frame
	Event  uint64
	// Aside says that another thread than the main one ended it.
	Aside bool
	// SysExit says that SystemExit ended it, which nobody caught.
	SysExit bool
	// Exit is where that was raised, nil where it is not known; Frames are those there then.
	Exit *Exit
	// ByProc and ByEvent are where the signal was sent.
	ByProc  int
	ByEvent uint64
}

// Dead is a thread that has ended.
type Dead struct {
	Ident uint64 `json:"ident"`
	TID   int32  `json:"tid"`
	Name  string `json:"name"`
	Event uint64 `json:"event"`
}

// Exit is where the main thread raised SystemExit: its stack there, innermost first.
type Exit struct {
	Point
	Frames []Frame `json:"frames"`
}

// Ended is the verdict on a process that ended with an error.
func Ended(in *Input, d *Death) *Verdict {
	j := &judge{in: in, procs: map[int]*Process{}}
	for _, p := range in.Procs {
		j.procs[p.ID] = p
	}
	v := &Verdict{Degree: Proven, Kind: "exit"}
	var at *Frame
	for k := range d.Frames {
		if d.Frames[k].own() {
			at = &d.Frames[k]
			break
		}
	}
	if at == nil && d.Exit != nil {
		at = &d.Frames[0] // a library's, or pyrr's own: it was raised there all the same
	}
	if at == nil && len(d.Frames) > 0 && !Machinery(d.Frames[0].File) {
		at = &d.Frames[0]
	}
	var b strings.Builder
	switch {
	case d.Signal != "" && d.Fault:
		v.Kind = "crash"
		fmt.Fprintf(&b, "Crash: %s", d.Signal)
		if d.Signal == "SIGSEGV" || d.Signal == "SIGBUS" {
			fmt.Fprintf(&b, " at address %#x", d.Addr)
		}
		if d.Call != "" {
			fmt.Fprintf(&b, " in the C function %s", d.Call)
		}
	case d.Signal == "SIGABRT" && d.By == "":
		v.Kind = "crash"
		b.WriteString("Crash: the process aborted itself")
	case d.Signal != "":
		v.Kind = "killed"
		fmt.Fprintf(&b, "Killed by %s", d.Signal)
		if d.By != "" {
			b.WriteString(", which " + d.By + " sent")
		} else {
			b.WriteString(", which nobody in the recording sent")
		}
	default:
		fmt.Fprintf(&b, "Ended with exit status %d", d.Status)
		switch {
		case d.Exit != nil:
			b.WriteString(" by SystemExit, raised")
			if !d.SysExit {
				v.Degree, v.Missing = Likely, "whether it was this one that ended it: it is the last that was raised"
			}
		case d.SysExit:
			b.WriteString(" by SystemExit")
			v.Degree, v.Missing = Likely, "where it was raised: a spec with \"raise SystemExit\" finds it"
		}
	}
	if at != nil {
		f := *at
		v.Where = &f
		verb := " at "
		if d.Signal != "" && v.Kind != "killed" {
			verb = ", called at "
		} else if v.Kind == "killed" {
			verb = ", while it was at "
		}
		fmt.Fprintf(&b, "%s%s in %s", verb, j.at(f), f.Func)
	}
	v.Sentence = b.String() + "."
	d.evidence(v, at)
	j.diedBeside(v, d.Proc)
	v.key = []string{v.Kind, d.Signal}
	if d.Signal == "" {
		v.key[1] = fmt.Sprintf("status %d", d.Status)
	}
	if at != nil {
		v.key = append(v.key, j.short(at.File)+":"+lastName(at.Func))
	}
	return v
}

// evidence adds where the process ended, where SystemExit was raised for that, and where
// the signal was sent. at is the program's own frame, if there is one.
func (d *Death) evidence(v *Verdict, at *Frame) {
	e := Evidence{Text: "the process ended here", Proc: d.Proc, Event: d.Event}
	if at != nil {
		e.File, e.Line = at.File, at.Line
	}
	if d.Exit != nil {
		r := e
		r.Text, r.Event, r.Instr = "SystemExit was raised here", d.Exit.Event, d.Exit.Instr
		v.Evidence = append(v.Evidence, r)
		e.File, e.Line = "", 0
	}
	v.Evidence = append(v.Evidence, e)
	if d.ByEvent > 0 && d.By != "" {
		v.Evidence = append(v.Evidence, Evidence{Text: d.By + " sent " + d.Signal, Proc: d.ByProc, Event: d.ByEvent})
	}
}

// Ended reports whether a verdict is about a process that ended with an error.
func (v *Verdict) Ended() bool { return v.Kind == "crash" || v.Kind == "killed" || v.Kind == "exit" }
