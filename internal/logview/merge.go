package logview

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"

	"pyrr/internal/recording"
)

// table is what the descriptors of a process, or of one thread, stand for.
type table struct {
	fds map[int]*FD
	// old are the open files that were there when the recording began, as far
	// as they were used; nil where there were none. Tables that began as
	// copies of each other share it. gone are numbers that do not stand for
	// those any more.
	old  map[int]*File
	gone map[int]bool
}

func newTable() *table { return &table{fds: map[int]*FD{}, gone: map[int]bool{}} }

func (t *table) clone() *table {
	c := &table{fds: make(map[int]*FD, len(t.fds)), old: t.old, gone: maps.Clone(t.gone)}
	for n, d := range t.fds {
		own := *d
		c.fds[n] = &own
	}
	return c
}

// executed is the table behind an exec.
func (t *table) executed() *table {
	c := t.clone()
	for n, d := range c.fds {
		if d.Cloexec {
			c.drop(n)
		}
	}
	return c
}

func (t *table) drop(n int) {
	delete(t.fds, n)
	if t.old != nil {
		t.gone[n] = true
	}
}

// merger applies the operations of all processes in time.
type merger struct {
	*reader
	queue   scanHeap
	waiting map[gate][]*scan // for the event that makes them
	kids    map[int]*Child   // by process id, the latest
	living  map[int]*scan    // the same, of those that are recorded
	tables  map[*Process]*table
	files   []*File
	nfiles  int
	listen  map[string]*File // by address
	// terminals are the masters of pseudo-terminals by the paths of their other ends.
	terminals map[string]*File
	conns     map[string]*File // accepted ones, by both addresses
	locks     []RecordLock

	inherited map[inherited]*File
}

type gate struct {
	proc  int
	event uint64
}

// scanHeap orders processes by the time of their next operation.
type scanHeap []*scan

func (h scanHeap) Len() int { return len(h) }
func (h scanHeap) Less(i, k int) bool {
	a, b := &h[i].ops[h[i].next], &h[k].ops[h[k].next]
	return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(h[i].p.ID, h[k].p.ID)) < 0
}
func (h scanHeap) Swap(i, k int) { h[i], h[k] = h[k], h[i] }
func (h *scanHeap) Push(x any)   { *h = append(*h, x.(*scan)) }
func (h *scanHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func (r *reader) merge() {
	m := &merger{reader: r, waiting: map[gate][]*scan{}, kids: map[int]*Child{}, living: map[int]*scan{}, tables: map[*Process]*table{},
		listen: map[string]*File{}, terminals: map[string]*File{}, conns: map[string]*File{}, inherited: map[inherited]*File{}}
	for _, sc := range r.scans {
		if len(sc.ops) == 0 {
			continue
		}
		if parent := r.s.byID[sc.p.Process.Parent]; parent != nil && parent != sc.p {
			at := gate{parent.ID, sc.p.ParentEvent}
			m.waiting[at] = append(m.waiting[at], sc)
			continue
		}
		m.enqueue(sc)
	}
	for {
		m.run()
		// What waits for an event that never came begins all the same.
		rest := slices.SortedFunc(maps.Keys(m.waiting), func(a, b gate) int {
			return cmp.Or(cmp.Compare(a.proc, b.proc), cmp.Compare(a.event, b.event))
		})
		if len(rest) == 0 {
			break
		}
		m.release(rest[0])
	}
	m.finish()
}

func (m *merger) enqueue(sc *scan) { heap.Push(&m.queue, sc) }

func (m *merger) release(at gate) {
	for _, sc := range m.waiting[at] {
		m.enqueue(sc)
	}
	delete(m.waiting, at)
}

func (m *merger) run() {
	for len(m.queue) > 0 {
		sc := m.queue[0]
		o := &sc.ops[sc.next]
		if !o.void {
			m.apply(sc, o)
		}
		if sc.next++; sc.next == len(sc.ops) {
			heap.Pop(&m.queue)
		} else {
			heap.Fix(&m.queue, 0)
		}
		if o.do == opChild || o.do == opExec {
			m.release(gate{sc.p.ID, o.n})
		}
	}
}

func (m *merger) apply(sc *scan, o *op) {
	switch o.do {
	case opStart:
		m.start(sc)
	case opChild:
		m.child(sc, o)
	case opExec:
		m.exec(sc, o)
	case opGone:
		if sc.p.tables[o.tid] != nil {
			delete(sc.p.tables, o.tid)
			m.forget(int(o.tid))
		}
	case opEnd:
		if sc.p.Ended.Exited() {
			m.unlock(sc, o, sc.p.PID, nil)
			had := m.locked(sc)
			m.over(sc)
			m.forget(sc.p.PID)
			for _, f := range had {
				m.closed(sc, o, f)
			}
		}
	case opReap:
		if c := m.kids[int(o.fd)]; c != nil && c.Reaped == nil {
			at := m.at(sc, o)
			c.Reaped, c.Status, c.held = &at, o.arg, nil
		}
	default:
		m.fdOp(sc, o)
	}
}

func (m *merger) at(sc *scan, o *op) Moment {
	return Moment{sc.p.ID, recording.Pos{Instr: o.instr, Event: o.n}, o.tid, o.time}
}

// over takes a process's descriptors away at its end.
func (m *merger) over(sc *scan) {
	m.tables[sc.p] = newTable()
	sc.p.tables = nil
	if m.living[sc.p.PID] == sc {
		delete(m.living, sc.p.PID)
	}
}

// forget drops what an unrecorded process, or a borrower of memory, has open.
func (m *merger) forget(pid int) {
	if c := m.kids[pid]; c != nil {
		c.held = nil
	}
}

// start gives a process its descriptors.
func (m *merger) start(sc *scan) {
	p := sc.p
	c := m.kids[p.PID]
	var held *table
	if c != nil && c.Reaped == nil {
		held, c.held = c.held, nil
		c.Proc = p
	}
	m.living[p.PID] = sc
	if parent := m.s.byID[p.Process.Parent]; parent != nil && parent != p {
		p.Parent, p.Origin = parent, Execed
		p.Made = Moment{parent.ID, recording.Pos{Event: p.ParentEvent}, 0, 0}
		if p.Fork {
			p.Origin = Forked
		}
		if c != nil && c.Proc == p {
			p.Made = c.Made
		}
		if p.Origin == Execed && parent.PID == p.PID {
			parent.Next = p
		}
	}
	if held == nil {
		held = newTable()
		held.old = map[int]*File{}
		m.inherit(sc, held, sc.open)
	}
	m.tables[p] = held
}

// child begins the table of a process that is made.
func (m *merger) child(sc *scan, o *op) {
	c := o.more.child
	m.kids[c.PID] = c
	own := m.table(sc, o.tid)
	if !o.shared {
		own = own.clone()
	}
	c.held = own
	if o.borrows {
		if sc.p.tables == nil {
			sc.p.tables = map[int32]*table{}
		}
		sc.p.tables[o.fd] = own
	}
}

// exec takes a thread's descriptors over to the program that it becomes.
func (m *merger) exec(sc *scan, o *op) {
	before := m.table(sc, o.tid)
	own := before.executed()
	pid := sc.p.PID
	for _, d := range before.fds {
		if d.Cloexec {
			m.unlock(sc, o, pid, d.File)
		}
	}
	if sc.p.tables[o.tid] != nil {
		pid = int(o.tid)
		delete(sc.p.tables, o.tid)
	} else {
		m.tables[sc.p] = newTable()
	}
	c := m.kids[pid]
	if c == nil || c.Reaped != nil {
		// The first process, which nobody made.
		c = &Child{PID: pid, Made: m.at(sc, o)}
		m.kids[pid] = c
	}
	c.Proc, c.Exe, c.held = nil, o.more.text, own
	if o.shared {
		m.over(sc)
	}
}

func (m *merger) table(sc *scan, tid int32) *table {
	if t := sc.p.tables[tid]; t != nil {
		return t
	}
	t := m.tables[sc.p]
	if t == nil {
		t = newTable()
		t.old = map[int]*File{}
		m.tables[sc.p] = t
	}
	return t
}

// finish puts what was found into the state.
func (m *merger) finish() {
	defer m.finishLocks()
	for _, sc := range m.scans {
		p := sc.p
		t := m.table(sc, 0)
		p.FDs = t.fds
		m.hold(p, nil, 0, t)
		for _, tid := range slices.Sorted(maps.Keys(p.tables)) {
			m.hold(p, nil, tid, p.tables[tid])
		}
	}
	for _, pid := range slices.Sorted(maps.Keys(m.kids)) {
		if c := m.kids[pid]; c.Proc == nil && c.held != nil && c.Reaped == nil {
			m.hold(nil, c, 0, c.held)
		}
	}
	seen := map[*File]bool{}
	keep := func(f *File) {
		if f != nil && !seen[f] {
			seen[f] = true
			m.s.Files = append(m.s.Files, f)
		}
	}
	for _, f := range m.files {
		if len(f.Holders) > 0 {
			keep(f)
			keep(f.Other)
			keep(f.From)
		}
		f.Backlog = slices.DeleteFunc(f.Backlog, (*File).Closed)
		maps.DeleteFunc(f.Watched, func(_ int, w Watch) bool { return w.File.Closed() })
	}
	slices.SortFunc(m.s.Files, func(a, b *File) int { return cmp.Compare(a.Num, b.Num) })
}

func (m *merger) hold(p *Process, c *Child, tid int32, t *table) {
	for _, n := range slices.Sorted(maps.Keys(t.fds)) {
		f := t.fds[n].File
		f.Holders = append(f.Holders, Holder{p, c, tid, n})
	}
}
