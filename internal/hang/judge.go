package hang

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// node is a unit of a process. Where a process has no facts, unit counts its
// threads.
type node struct {
	proc, unit int
}

// judge is one judgement.
type judge struct {
	in    *Input
	procs map[int]*Process
	edges map[node][]edge
	// way is the path that is being told.
	way []hop
	// cited are facts that a sentence mentions, each with its place.
	cited []Evidence
	// asked says that it is told of one process what another waits for.
	asked bool
}

// cite notes a fact that a sentence mentions.
func (j *judge) cite(e Evidence) {
	for i := range j.cited {
		if j.cited[i].Text == e.Text {
			return
		}
	}
	j.cited = append(j.cited, e)
}

// since says since when the one has waited that a verdict is about: of those
// that it names, the one that has waited longest.
func (j *judge) since(v *Verdict) {
	for _, r := range v.Units {
		for _, t := range j.procs[r.Proc].Threads {
			if t.TID != r.TID || t.Call == "" {
				continue
			}
			long, since := t.For, t.Since
			if l := t.Loop; l != nil && !l.Moves && t.For < l.For {
				long, since = t.For+l.For, t.Since-int64(l.For) // from its first turn on
			}
			if long > v.For {
				v.For, v.Since, v.Attached = long, since, t.Attached
			}
		}
	}
}

// edge leads from one who waits to one who could end that.
type edge struct {
	to   node
	sure bool // held, joined, awaited; else it only has the thing at hand
	// say is a sentence with %[1]s for who waits and %[2]s for whom.
	say   string
	kind  string
	thing int // of the process that waits, -1 for none
	hold  *Hold
	// limit is after how long it gives up of itself, 0 for never; asks says that it does
	// not wait but asks again and again, and may do something else in between.
	limit time.Duration
	asks  bool
}

// Judge says why.
func Judge(in *Input) *Verdict {
	j := &judge{in: in, procs: map[int]*Process{}, edges: map[node][]edge{}}
	for _, p := range in.Procs {
		j.procs[p.ID] = p
	}
	root, ok := j.root()
	if !ok {
		return &Verdict{Degree: None, Sentence: "No verdict: no process was stopped, and none of its threads waits."}
	}
	v := j.from(root)
	cited := j.cited
	if v.Degree != Proven {
		j.cited = nil
		if aside := j.aside(); aside != nil {
			v, cited = aside, j.cited
		}
	}
	if v.Sentence, v.Long = brief(v.Sentence); v.Long == v.Sentence {
		v.Long = ""
	}
	v.Evidence = append(v.Evidence, cited...)
	j.since(v)
	j.complete(v)
	j.graph(v)
	if v.Where == nil {
		if f, ok := j.place(root); ok {
			v.Where = &f
		}
	}
	return v
}

// root is whose waiting the verdict explains: the main thread of the first
// process that did not end, or the task that it runs its loop for.
func (j *judge) root() (node, bool) {
	for _, p := range j.in.Procs {
		if !p.Hangs {
			continue
		}
		if p.Facts != nil {
			for n := range p.Facts.Units {
				if u := &p.Facts.Units[n]; u.Kind == Thread && u.Main {
					return node{p.ID, n}, true
				}
			}
			if len(p.Facts.Units) > 0 {
				return node{p.ID, 0}, true
			}
		}
		if len(p.Threads) > 0 {
			return node{p.ID, -1}, true
		}
	}
	return node{}, false
}

// from follows who waits for whom from the root on.
func (j *judge) from(root node) *Verdict {
	path := []hop{{node: root}}
	seen := map[node]int{root: 0}
	if v := j.cycleFrom(root); v != nil {
		return v
	}
	for len(path) < 50 {
		at := path[len(path)-1].node
		var next *edge
		for _, e := range j.ranked(at) {
			first, again := seen[e.to]
			if !again {
				next = &e
				break
			}
			path[len(path)-1].edge = &e
			if v := j.ring(path[first:], root); v != nil {
				return v
			}
			path[len(path)-1].edge = nil
			if e.sure || e.kind == "other end" {
				break
			}
		}
		if next == nil {
			break
		}
		path[len(path)-1].edge = next
		seen[next.to] = len(path)
		path = append(path, hop{node: next.to})
	}
	return j.chain(path)
}

// aside looks for a circle of which the main thread is no part and on which it does
// not wait: in a server it goes on serving. Threads that waited so already when the
// recording began are another test's.
func (j *judge) aside() *Verdict {
	for _, p := range j.in.Procs {
		if !p.Hangs || p.Facts == nil {
			continue
		}
		for n := range p.Facts.Units {
			at := node{p.ID, n}
			if c := j.call(at); c == nil || c.Early {
				continue
			}
			if v := j.cycleFrom(at); v != nil && v.Degree == Proven {
				return v
			}
		}
	}
	return nil
}

// hop is a node of a path and the edge to the next.
type hop struct {
	node node
	edge *edge
}

// cycleFrom looks for a circle of those who wait for each other, in reach of a
// node. It counts only if each that takes part has no other way out.
func (j *judge) cycleFrom(root node) *Verdict {
	state := map[node]int{}
	var path []hop
	var found []hop
	var visit func(n node) bool
	visit = func(n node) bool {
		state[n] = 1
		path = append(path, hop{node: n})
		defer func() { path = path[:len(path)-1]; state[n] = 2 }()
		for _, e := range j.steps(n) {
			if !e.sure {
				continue
			}
			path[len(path)-1].edge = &e
			switch state[e.to] {
			case 1:
				for k := range path {
					if path[k].node == e.to {
						found = slices.Clone(path[k:])
						return true
					}
				}
			case 0:
				if len(path) < 200 && visit(e.to) {
					return true
				}
			}
		}
		return false
	}
	if !visit(root) {
		return nil
	}
	return j.cycle(root, found)
}

func (j *judge) unit(n node) *Unit {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil || n.unit < 0 || n.unit >= len(p.Facts.Units) {
		return nil
	}
	return &p.Facts.Units[n.unit]
}

// call is the thread of a unit in the log, nil for a task.
func (j *judge) call(n node) *Call {
	p := j.procs[n.proc]
	if p == nil {
		return nil
	}
	u := j.unit(n)
	if u == nil {
		if n.unit < 0 && len(p.Threads) > 0 {
			return p.Threads[0]
		}
		return nil
	}
	if u.Kind != Thread {
		return nil
	}
	for _, t := range p.Threads {
		if t.TID == u.TID {
			return t
		}
	}
	return nil
}

func (j *judge) thing(proc, n int) *Thing {
	p := j.procs[proc]
	if p == nil || p.Facts == nil || n < 0 || n >= len(p.Facts.Things) {
		return nil
	}
	return &p.Facts.Things[n]
}

// name is how a sentence calls a unit.
func (j *judge) name(n node) string {
	p, u := j.procs[n.proc], j.unit(n)
	if u == nil || u.Kind == Thread && u.Main {
		if n.proc == j.in.Procs[0].ID {
			return "MainThread" + j.taskIn(n)
		}
		return j.procName(p) + j.taskIn(n)
	}
	name := u.Name
	if fn := lastName(name); u.Kind == Task && fn != name && slices.ContainsFunc(u.Frames, func(f Frame) bool { return lastName(f.Func) == fn }) {
		name = fn // of its module and class
	}
	switch {
	case j.servesClient(n): // it is called as the client's process
		name = "a thread"
	case name == "" && u.Kind == Thread:
		name = fmt.Sprintf("thread %d", u.TID)
	case u.Kind == Task:
		name = "task " + name
	case u.Kind == Greenlet && name == "<module>":
		name = "the main greenlet"
	case u.Kind == Greenlet:
		name = "greenlet " + name
	case strings.HasPrefix(name, "Thread-") || strings.Contains(name, " "):
		name = "thread " + name
	}
	name += j.taskIn(n)
	if n.proc != j.in.Procs[0].ID {
		name += " of " + j.procName(p)
	}
	return name
}

// taskIn names the task that a thread runs where it waits: " (task NAME)".
func (j *judge) taskIn(n node) string {
	if task := j.runningTask(n); task.unit >= 0 && j.blocks(n) {
		if name := j.unit(task).Name; name != "" {
			return " (task " + name + ")"
		}
	}
	return ""
}

func (j *judge) procName(p *Process) string {
	if p == nil {
		return "a process"
	}
	all := make([]*Facts, 0, len(j.in.Procs))
	for _, other := range j.in.Procs {
		all = append(all, other.Facts)
	}
	name := Given(p.PID, p.Facts, all)
	switch {
	case name != "":
		return fmt.Sprintf("child %q (pid %d)", name, p.PID)
	case p.ID == j.in.Procs[0].ID:
		return fmt.Sprintf("process %d", p.PID)
	}
	return fmt.Sprintf("child %d", p.PID)
}

// short is a file's name for people.
func (j *judge) short(file string) string {
	if j.in.Short != nil {
		file = j.in.Short(file)
	}
	return file
}

func (j *judge) at(f Frame) string {
	return fmt.Sprintf("%s:%d", j.short(f.File), f.Line)
}

// place is the frame that waits, from the user's view.
func (j *judge) place(n node) (Frame, bool) {
	u := j.unit(n)
	if u == nil {
		if c := j.call(n); c != nil {
			for _, f := range c.Frames {
				if f.own() {
					return f, true
				}
			}
			if len(c.Frames) > 0 {
				return c.Frames[0], true
			}
		}
		return Frame{}, false
	}
	for k, f := range Within(u.Frames) {
		if f.own() && !Made(u.Frames, k) {
			return f, true
		}
	}
	if len(u.Frames) > 0 {
		return u.Frames[0], true
	}
	return Frame{}, false
}

// where is the place of a unit as it stands in sentences: " (FILE:LINE)", or
// nothing.
func (j *judge) where(n node) string {
	f, ok := j.place(n)
	if !ok || f.Line == 0 || !f.own() && f.File != "<string>" && len(f.File) > 0 && (strings.HasSuffix(f.File, "/threading.py") || strings.HasSuffix(f.File, "/socket.py") && !Installed(f.File)) {
		return ""
	}
	return " (" + j.at(f) + j.calledByTest(j.framesOf(n), f) + ")"
}

// framesOf are the frames of a unit, or of a thread of which only its call is known.
func (j *judge) framesOf(n node) []Frame {
	if u := j.unit(n); u != nil {
		return u.Frames
	}
	if c := j.call(n); c != nil {
		return c.Frames
	}
	return nil
}

// via is where with the function of an installed package that the line has called.
func (j *judge) via(n node) string {
	at, u := j.where(n), j.unit(n)
	if at == "" || u == nil {
		return at
	}
	for k := range u.Frames {
		f := &u.Frames[k]
		if f.own() {
			break
		}
		if Installed(f.File) && !Machinery(f.File) {
			return strings.TrimSuffix(at, ")") + " in " + f.Func + ")"
		}
	}
	return at
}

func (j *judge) ref(n node) Ref {
	r := Ref{Proc: n.proc, Kind: Thread, Name: j.name(n)}
	if u := j.unit(n); u != nil {
		r.TID, r.Kind = u.TID, u.Kind
	} else if c := j.call(n); c != nil {
		r.TID = c.TID
	}
	return r
}

// graph adds all that is known of who waits for whom.
func (j *judge) graph(v *Verdict) {
	const most = 2000
	for _, p := range j.in.Procs {
		if p.Facts == nil {
			continue
		}
		for n := range p.Facts.Units {
			from := node{p.ID, n}
			for _, e := range j.steps(from) {
				if len(v.Edges) < most {
					v.Edges = append(v.Edges, Edge{From: j.ref(from), To: j.ref(e.to), Why: e.kind, Sure: e.sure})
				}
			}
		}
	}
}
