package page

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"pyrr/internal/hang"
	"pyrr/internal/stack"
)

// document is what the script gets, as JSON; columns are beside it.
type document struct {
	Title   string    `json:"title"`
	Outcome string    `json:"outcome"`
	Kinds   []string  `json:"kinds"`
	Procs   []process `json:"procs"`
	Lanes   []lane    `json:"lanes"`
	Marks   []mark    `json:"marks"`
	Lines   []line    `json:"lines"`
	Lost    int       `json:"lost,omitempty"` // lines of output before those
	Left    int       `json:"left,omitempty"` // events before those
	Frames  []frame   `json:"frames"`
	Files   []*file   `json:"files"`
	Columns []column  `json:"columns"`
	Why     why       `json:"why"`
	Tasks   []task    `json:"tasks,omitempty"`
	Unlike  *Unlike   `json:"unlike,omitempty"`
	// Moments are variables; Without says why there are none.
	Moments []moment `json:"moments,omitempty"`
	Without string   `json:"without,omitempty"`
	told

	data []byte
	tree *tree
}

// told is what was learnt of it beside its events: exceptions, and what specs say.
type told struct {
	// Raised is the row that stands for an exception which ended the run.
	Raised *place  `json:"raised,omitempty"`
	Raises []raise `json:"raises,omitempty"`
	Checks []check `json:"checks,omitempty"`
}

// why is the verdict.
type why struct {
	Sentence  string     `json:"sentence"`
	Degree    string     `json:"degree"`
	Kind      string     `json:"kind,omitempty"`
	Missing   string     `json:"missing,omitempty"`
	Explained bool       `json:"explained,omitempty"`
	Since     int64      `json:"since,omitempty"`
	For       int64      `json:"for,omitempty"`
	Evidence  []evidence `json:"evidence"`
	Edges     []edge     `json:"edges,omitempty"`
}

// evidence is a fact and its moment; Event 0 is none.
type evidence struct {
	Text  string `json:"text"`
	Proc  int    `json:"proc"` // index
	Event uint64 `json:"event,omitempty"`
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`
	Code  string `json:"code,omitempty"`
	// Near is set where Event is only the nearest moment that was recorded.
	Near bool `json:"near,omitempty"`
}

// edge says which thread waits for which at the end.
type edge struct {
	From int    `json:"from"` // lanes
	To   int    `json:"to"`
	Why  string `json:"why"`
	Sure bool   `json:"sure,omitempty"`
}

// task is a task or greenlet at the end.
type task struct {
	Proc    int    `json:"proc"` // index
	Lane    int    `json:"lane"` // of the thread that runs its loop, -1 for none
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Running bool   `json:"running,omitempty"`
	Node    uint32 `json:"node"`
	// Frames are the variables of the user's frames.
	Frames []momentFrame `json:"frames,omitempty"`
}

// column says where a column lies: N values from the byte At on, Size bytes.
// Delta columns hold differences, zigzag; Bytes are not numbers.
type column struct {
	Name  string `json:"name"`
	At    int    `json:"at"`
	Size  int    `json:"size"`
	N     int    `json:"n"`
	Delta bool   `json:"delta,omitempty"`
	Bytes bool   `json:"bytes,omitempty"`
}

// newDocument makes the document of what was read.
func newDocument(w *walk) *document {
	d := &document{Title: clean(w.in.Title), Outcome: clean(w.in.Outcome), Kinds: kindNames, Procs: w.procs, Lanes: w.lanes, Marks: w.marks,
		Lines: w.lines, Lost: w.lost, Left: w.left, Unlike: w.in.Unlike.clean()}
	t := newTree(w.in.Rec.Header().Cwd)
	nodes := make([]uint64, len(w.rows))
	for i := range w.rows {
		nodes[i] = uint64(t.node(w, w.rows[i].node))
	}
	d.addEnds(w, t, nodes)
	d.addRaised(w, t, nodes)
	d.Moments, d.Without = w.moments, w.without
	texts, err := w.in.Rec.Sources()
	if err != nil {
		texts = nil // the page goes without
	}
	d.addTasks(w, t)
	d.addTaskVars(w)
	d.addRaises(w, t)
	d.addChecks(w)
	d.addWhy(w, t, texts, nodes)
	t.addSources(texts)
	d.tree, d.Frames, d.Files = t, t.frames, t.files
	d.numbers("node", nodes, true)
	d.numbers("parent", widen(t.parent), true)
	d.numbers("frame", widen(t.frame), false)
	d.addRows(w)
	return d
}

// addEnds gives the last rows of threads the stacks that they stood with, where the
// index has none.
func (d *document) addEnds(w *walk, t *tree, nodes []uint64) {
	last := map[int]int{}
	for i := range w.rows {
		last[int(w.rows[i].lane)] = i
	}
	for i := range w.in.Ends {
		e := &w.in.Ends[i]
		if row, ok := last[w.laneOf(e.Proc, e.TID)]; ok && nodes[row] == 0 && len(e.Stack) > 0 {
			nodes[row] = uint64(t.add(e.Stack))
			w.rows[row].ended = uint32(nodes[row])
		}
	}
}

// node returns the page's number of a stack of the index.
func (t *tree) node(w *walk, n uint32) uint32 {
	if n == 0 || w.index == nil {
		return 0
	}
	out, ok := t.byNode[n]
	if !ok {
		out = t.add(w.index.Frames(n))
		t.byNode[n] = out
	}
	return out
}

func widen(in []uint32) []uint64 {
	out := make([]uint64, len(in))
	for i, v := range in {
		out[i] = uint64(v)
	}
	return out
}

// addRows adds the columns of the rows.
func (d *document) addRows(w *walk) {
	column := func(name string, delta bool, of func(*row) uint64) {
		list := make([]uint64, len(w.rows))
		for i := range w.rows {
			list[i] = of(&w.rows[i])
		}
		d.numbers(name, list, delta)
	}
	column("lane", false, func(r *row) uint64 { return uint64(r.lane) })
	column("kind", false, func(r *row) uint64 {
		k := uint64(r.kind)
		if r.failed {
			k |= 0x80
		}
		return k
	})
	column("event", true, func(r *row) uint64 { return r.n })
	column("end", false, func(r *row) uint64 {
		if r.end == 0 {
			return 0
		}
		return r.end - r.n
	})
	column("time", true, func(r *row) uint64 { return uint64(r.time) })
	column("took", false, func(r *row) uint64 { return uint64(r.took + 1) })
	column("instr", true, func(r *row) uint64 { return r.instr })
	column("ran", false, func(r *row) uint64 { return max(r.endInstr, r.instr) - r.instr })

	texts, numbers := map[string]uint64{}, make([]uint64, len(w.rows))
	var all bytes.Buffer
	var sizes []uint64
	for i := range w.rows {
		s := w.rows[i].text
		n, ok := texts[s]
		if !ok {
			n = uint64(len(sizes))
			texts[s] = n
			sizes = append(sizes, uint64(len(s)))
			all.WriteString(s)
		}
		numbers[i] = n
	}
	d.numbers("text", numbers, true)
	d.numbers("textSize", sizes, false)
	d.Columns = append(d.Columns, bytesColumn("texts", len(d.data), all.Len()))
	d.data = append(d.data, all.Bytes()...)

	var from, to, fromProc, toProc []uint64
	for _, k := range w.wakes {
		from, to = append(from, k.from), append(to, k.to)
		fromProc, toProc = append(fromProc, uint64(k.fromProc)), append(toProc, uint64(k.toProc))
	}
	d.numbers("wakeFrom", from, true)
	d.numbers("wakeTo", to, true)
	d.numbers("wakeFromProc", fromProc, false)
	d.numbers("wakeToProc", toProc, false)
}

func bytesColumn(name string, at, size int) column {
	return column{Name: name, At: at, Size: size, N: size, Bytes: true}
}

// numbers adds a column.
func (d *document) numbers(name string, list []uint64, delta bool) {
	c := column{Name: name, At: len(d.data), N: len(list), Delta: delta}
	last := uint64(0)
	for _, v := range list {
		if delta {
			d.data = binary.AppendVarint(d.data, int64(v-last)) // zigzag
			last = v
		} else {
			d.data = binary.AppendUvarint(d.data, v)
		}
	}
	c.Size = len(d.data) - c.At
	d.Columns = append(d.Columns, c)
}

// block returns all of it, compressed, as text.
func (d *document) block() (string, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("encode the page: %w", err)
	}
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, flate.DefaultCompression)
	if err == nil {
		_, err = z.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(text))))
	}
	for _, part := range [][]byte{text, d.data} {
		if err == nil {
			_, err = z.Write(part)
		}
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return "", fmt.Errorf("compress the page: %w", err)
	}
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

// procIndex is the index of a process of the recording, 0 where it is not there.
func (w *walk) procIndex(id int) int {
	for i := range w.procs {
		if w.procs[i].ID == id {
			return i
		}
	}
	return 0
}

// laneOf is the lane of a thread, -1 for none.
func (w *walk) laneOf(proc int, tid int32) int {
	for i := range w.lanes {
		if l := &w.lanes[i]; l.TID == tid && w.procs[l.Proc].ID == proc {
			return i
		}
	}
	return -1
}

// addWhy adds the verdict.
func (d *document) addWhy(w *walk, t *tree, texts map[string][]byte, nodes []uint64) {
	d.Why = why{Evidence: []evidence{}, Explained: w.in.Explained}
	v := w.in.Why
	if v == nil {
		return
	}
	d.Why.Sentence, d.Why.Degree, d.Why.Kind, d.Why.Missing = clean(v.Sentence), clean(v.Degree), clean(v.Kind), clean(v.Missing)
	d.Why.Since, d.Why.For = v.Since, int64(v.For)
	for _, e := range v.Evidence {
		out := evidence{Text: clean(e.Text), Proc: w.procIndex(max(1, e.Proc)), Event: e.Event, Line: e.Line, Code: lineOf(texts, e.File, e.Line)}
		if e.File != "" {
			out.File = t.files[t.fileOf(e.File)].Name
			t.files[t.fileOf(e.File)].uses(e.Line)
			if e.Event == 0 {
				out.Proc, out.Event = d.stands(w, t, nodes, t.fileOf(e.File), e.Line)
			}
			if out.Event == 0 {
				in := -1
				if e.Proc > 0 {
					in = w.procIndex(e.Proc)
				}
				if out.Proc, out.Event = d.nearest(w, t, nodes, out.Text, in, t.fileOf(e.File), e.Line); out.Event > 0 {
					out.Near = true
				}
			}
		}
		d.Why.Evidence = append(d.Why.Evidence, out)
	}
	for _, e := range v.Edges {
		from, to := w.laneOf(e.From.Proc, e.From.TID), w.laneOf(e.To.Proc, e.To.TID)
		if from >= 0 && to >= 0 && from != to {
			d.Why.Edges = append(d.Why.Edges, edge{from, to, clean(e.Why), e.Sure})
		}
	}
}

// stands is the last event of the thread that stood at a line at the end; its number
// is 0 where none did.
func (d *document) stands(w *walk, t *tree, nodes []uint64, file, line int) (proc int, event uint64) {
	seen := map[int32]bool{}
	for i := len(w.rows) - 1; i >= 0 && len(seen) < len(w.lanes); i-- {
		r := &w.rows[i]
		if seen[r.lane] {
			continue
		}
		seen[r.lane] = true
		for n := nodes[i]; n != 0; n = uint64(t.parent[n]) {
			if f := &t.frames[t.frame[n]]; f.File == file && f.Line == line {
				return w.lanes[r.lane].Proc, r.n
			}
		}
	}
	return 0, 0
}

// addTasks adds the tasks that are known at the ends of processes.
func (d *document) addTasks(w *walk, t *tree) {
	const most = 500
	for _, f := range w.in.Processes {
		if f == nil {
			continue
		}
		for i := range f.Units {
			u := &f.Units[i]
			if u.Kind == hang.Thread || len(d.Tasks) >= most {
				continue
			}
			var frames []stack.Frame
			for _, f := range u.Frames {
				frames = append(frames, stack.Frame{Kind: stack.Python, Func: f.Func, File: f.File, Line: f.Line})
			}
			d.Tasks = append(d.Tasks, task{Proc: w.procIndex(f.Proc), Lane: w.laneOf(f.Proc, u.TID), Kind: clean(u.Kind), Name: name(u.Name),
				Running: u.Running, Node: t.add(frames)})
		}
	}
}

// clean returns it with texts that can be shown.
func (u *Unlike) clean() *Unlike {
	if u == nil {
		return nil
	}
	out := *u
	out.Name, out.Followed, out.Causes = clean(u.Name), clean(u.Followed), append([]Cause{}, u.Causes...)
	for i := range out.Causes {
		c := &out.Causes[i]
		c.What, c.Passed, c.This = clean(c.What), clean(c.Passed), clean(c.This)
	}
	return &out
}
