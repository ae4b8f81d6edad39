package page

import (
	"slices"
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/stack"
)

// Place is an event of a process, by the numbers of the recording.
type Place struct {
	Proc  int
	Event uint64
}

// Moment is what the user's frames of a thread held at an event.
type Moment struct {
	Place
	Frames []hang.RaisedFrame
}

// Read is what Input.Read gives.
type Read struct {
	Moments []Moment
	Tasks   []TaskEnd
	Output  map[Place][]byte
	Raises  []Raise
	// Without says why there are no variables, "" where they were read.
	Without string
}

// Raise is an exception as it is raised: Place is the event that the thread is on its
// way to, Instr how many instructions were executed, Stack the frames, innermost first.
type Raise struct {
	Place
	TID   int32
	Instr uint64
	Text  string
	Stack []stack.Frame
	Vars  []hang.RaisedFrame
}

// TaskEnd is what the user's frames of a task held at the end.
type TaskEnd struct {
	Proc   int
	Name   string
	Frames []hang.RaisedFrame
}

// Bounds of the moments whose variables are read: the longest waits, and the
// first and last lines of output.
const (
	maxWaits  = 400
	maxPrints = 400
)

// moment is what the script gets.
type moment struct {
	Proc   int           `json:"proc"` // index
	Event  uint64        `json:"event"`
	Frames []momentFrame `json:"frames"`
}

type momentFrame struct {
	Func string      `json:"f"`
	Line int         `json:"l"`
	Vars []momentVar `json:"v"`
}

type momentVar struct {
	Name  string `json:"n"`
	Value string `json:"v"`
}

// readMoments reads variables and output where they matter.
func (w *walk) readMoments() {
	if w.in.Read == nil {
		return
	}
	vars, output := w.wanted()
	got := w.in.Read(vars, output)
	w.without = clean(got.Without)
	for i := range got.Moments {
		m := &got.Moments[i]
		w.addMoment(w.procIndex(m.Proc), m.Event, m.Frames)
	}
	w.tasks, w.raises = got.Tasks, got.Raises
	for i := range w.lines {
		l := &w.lines[i]
		if text := got.Output[Place{w.procs[l.Proc].ID, l.Event}]; len(text) > 0 && l.More > 0 {
			l.Text, l.More = cleanText(text), 0
		}
	}
}

func (w *walk) addMoment(proc int, event uint64, frames []hang.RaisedFrame) {
	w.moments = append(w.moments, moment{Proc: proc, Event: event, Frames: momentFrames(frames)})
}

func momentFrames(frames []hang.RaisedFrame) []momentFrame {
	out := []momentFrame{}
	for _, f := range frames {
		mf := momentFrame{Func: name(f.Func), Line: f.Line, Vars: []momentVar{}}
		for _, v := range f.Vars {
			mf.Vars = append(mf.Vars, momentVar{name(v.Name), clean(shorten(v.Value, 500))})
		}
		out = append(out, mf)
	}
	return out
}

// addTaskVars gives the tasks their variables: those of a name in their order.
func (d *document) addTaskVars(w *walk) {
	taken := map[int]bool{}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		for k := range w.tasks {
			if e := &w.tasks[k]; !taken[k] && w.procIndex(e.Proc) == t.Proc && name(e.Name) == t.Name {
				taken[k] = true
				t.Frames = momentFrames(e.Frames)
				break
			}
		}
	}
}

// wanted are the moments that matter: first of all, which is true, calls that never
// returned, ends, evidence and what was printed, then the longest waits.
func (w *walk) wanted() (vars, output map[Place]bool) {
	vars, output = map[Place]bool{}, map[Place]bool{}
	var waits []int
	place := func(r *row) Place { return Place{w.procs[w.lanes[r.lane].Proc].ID, r.n} }
	for i := range w.rows {
		r := &w.rows[i]
		switch {
		case r.took < 0 || r.kind == kindEnd:
			vars[place(r)] = true
		case r.took > 0 && r.kind != kindMemory && r.kind != kindOther && r.kind != kindSchedule && r.kind != kindOutput:
			waits = append(waits, i)
		}
	}
	slices.SortStableFunc(waits, func(a, b int) int {
		return sign(w.rows[a].took > w.rows[b].took)
	})
	for _, i := range waits[:min(len(waits), maxWaits)] {
		vars[place(&w.rows[i])] = false
	}
	for i := range w.lines {
		at := Place{w.procs[w.lines[i].Proc].ID, w.lines[i].Event}
		output[at] = w.lines[i].More > 0
		if i < maxPrints/2 || i >= len(w.lines)-maxPrints/2 {
			vars[at] = true
		}
	}
	if w.in.Why != nil {
		for _, e := range w.in.Why.Evidence {
			if e.Event > 0 {
				vars[Place{max(1, e.Proc), e.Event}] = true
			}
		}
	}
	return vars, output
}

// addRaised lets the row at which an exception ended the run show where it was
// raised, with the variables as it left them.
func (d *document) addRaised(w *walk, t *tree, nodes []uint64) {
	v := w.in.Why
	if v == nil || v.Raised == nil || len(v.Raised.Frames) == 0 || len(v.Evidence) == 0 || v.Evidence[0].Event == 0 {
		return
	}
	proc, event := w.procIndex(max(1, v.Evidence[0].Proc)), v.Evidence[0].Event
	for i := len(w.rows) - 1; i >= 0; i-- {
		if r := &w.rows[i]; r.n != event || w.lanes[r.lane].Proc != proc {
			continue
		}
		var frames []stack.Frame
		for _, f := range v.Raised.Frames {
			frames = append(frames, stack.Frame{Kind: stack.Python, Func: f.Func, File: f.File, Line: f.Line})
		}
		nodes[i] = uint64(t.add(frames))
		w.moments = slices.DeleteFunc(w.moments, func(m moment) bool { return m.Proc == proc && m.Event == event })
		w.addMoment(proc, event, v.Raised.Frames)
		d.Raised = &place{proc, event, clean(v.Raised.Type + ": " + firstLine(v.Raised.Text))}
		return
	}
}

// place is a row of which the script says something of its own.
type place struct {
	Proc  int    `json:"proc"` // index
	Event uint64 `json:"event"`
	Text  string `json:"text"`
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return shorten(s, 300)
}
