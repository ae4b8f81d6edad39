package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// Shorten makes a recording smaller. It replays the recording, takes an image
// of one process at one of its events, sees from there on which memory is
// touched, and writes to a new folder what begins at that event and holds no
// more than that: of the process itself, and of those that it made later.
//
// Memory that is neither touched nor read by the hooks in o is left out of
// the image; unused parts of mapped files become zeros. An error means that
// there is no new recording.
func Shorten(rec *recording.Recording, dir string, proc int, event uint64, open []recording.OpenFD, o Options) error {
	c := &cut{proc: proc, event: event, open: open}
	if _, err := batch(rec, o, c); err != nil {
		return fmt.Errorf("shorten the recording: %w", err)
	}
	if c.begin == nil {
		return fmt.Errorf("shorten the recording: process %d has no event %d", proc, event)
	}
	changes, err := c.changes(rec)
	if err != nil {
		return fmt.Errorf("shorten the recording: %w", err)
	}
	return rec.Rewrite(dir, changes)
}

// cut is where a recording is to begin, and what was found out about it.
type cut struct {
	proc  int
	event uint64
	open  []recording.OpenFD // what the process has open there

	begin   []recording.Event // of the new stream
	instr   uint64            // instructions before it
	touched *touched
	// later maps the processes that the new recording holds: the process, and
	// those that it or one of them made after the event.
	later map[int]bool
	// programs are what was touched of those that were executed later.
	programs []*touched
	// mapped are parts of files that were mapped after the event.
	mapped []recording.Mapping
	// python reads the interpreter of the process, nil where there is none.
	python *cpython.Runtime
	// running are the code objects of the frames on its threads' stacks.
	running []uint64
	// stacked are the files whose code a stack may return to.
	stacked map[recording.FileID]bool
}

// born takes in a process that begins: it is of the new recording where it was
// made after the event, or executed then by something that is not recorded.
func (c *cut) born(info *recording.Process) {
	if c.begin != nil && info.Parent == 0 || c.later[info.Parent] && (info.Parent != c.proc || info.ParentEvent >= c.event) {
		c.later[info.ID] = true
	}
}

// here takes the image of the process p, which stands at the event.
func (c *cut) here(p *Process, at *recording.Event) error {
	if err := p.flush(nil); err != nil {
		return err
	}
	if p.startArea.Base == 0 || len(p.patches) > 0 {
		return errors.New("the process does not begin with an image, or has breakpoints")
	}
	lead := p.threads[at.TID]
	if lead == nil {
		return fmt.Errorf("there is no thread %d", at.TID)
	}
	info := p.Info
	info.Parent, info.ParentEvent, info.Fork, info.Brk = 0, 0, false, p.brk
	start := recording.Event{Kind: recording.KindStart, TID: at.TID, Time: at.Time, Args: p.startArea.Words(), Proc: &info, Open: c.open}
	state := func(t *Thread) (*linux.Regs, []byte, error) {
		x, err := p.s.recordedXState(t.tid)
		regs := t.regs
		return &regs, x, err
	}
	var err error
	if start.Regs, start.XState, err = state(lead); err != nil {
		return err
	}
	start.Regs.NoCall()
	c.begin = []recording.Event{start}
	var tids []int32
	for tid := range p.threads {
		if tid != at.TID {
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids)
	for _, tid := range tids {
		t := p.threads[tid]
		ev := recording.Event{Kind: recording.KindThread, TID: tid, Time: at.Time}
		if ev.Regs, ev.XState, err = state(t); err != nil {
			return err
		}
		if t.enter.Kind != 0 {
			ev.Why, ev.Nr, ev.Args, ev.In = recording.InCall, t.enter.Nr, t.enter.Args, t.enter.In
		} else {
			ev.Regs.NoCall()
		}
		c.begin = append(c.begin, ev)
	}
	if p.cell != 0 || p.calls != nil || p.pauseCell != 0 {
		clock := recording.Clock{Budget: p.cell, Stubs: p.stubs, Bias: p.ClockBias, Pauses: p.pauseCell}
		if p.nextKnown {
			clock.Next = p.nextInstr.Encode(parseVersion(p.Info.Python))
		}
		if p.calls != nil {
			clock.Calls = p.calls.feed.Data()
		}
		c.begin = append(c.begin, recording.Event{Kind: recording.KindWrite, TID: at.TID, Time: at.Time,
			Args: clock.Words(), Text: p.Info.Python})
	}
	c.instr = p.counted
	c.later = map[int]bool{p.Info.ID: true}
	if rt, err := p.Runtime(); err == nil {
		c.python = rt.Clone()
		c.running = p.running()
	}
	return c.image(p, lead)
}

// image notes what the process has mapped, and takes access to it away.
func (c *cut) image(p *Process, t *Thread) error {
	maps, err := p.layout()
	if err != nil {
		return err
	}
	c.touched = &touched{}
	p.guard = &guard{of: c.touched, hidden: map[uint64]bool{}}
	for _, m := range maps {
		a := &touchedMapping{Mapping: m, seen: make([]bool, (m.End-m.Start)/pageSize)}
		if err := a.read(p); err != nil {
			return err
		}
		c.touched.mappings = append(c.touched.mappings, a)
	}
	if err := c.stacks(p); err != nil {
		return err
	}
	for _, a := range c.touched.mappings {
		if err := a.hide(p, t); err != nil {
			return err
		}
	}
	return nil
}

// program takes away the access to the files that a program, which was executed
// after the event, begins with. The rest of its image stays as it is.
func (c *cut) program(p *Process, t *Thread) error {
	maps, err := p.layout()
	if err != nil {
		return err
	}
	of := &touched{}
	c.programs = append(c.programs, of)
	p.guard = &guard{of: of, hidden: map[uint64]bool{}}
	for _, m := range maps {
		if m.File == 0 {
			continue
		}
		a := &touchedMapping{Mapping: m, seen: make([]bool, (m.End-m.Start)/pageSize)}
		of.mappings = append(of.mappings, a)
		if err := a.hide(p, t); err != nil {
			return err
		}
	}
	return nil
}

// hide takes away the access to an area.
func (a *touchedMapping) hide(p *Process, t *Thread) error {
	const most = 1 << 30
	m := a.Mapping
	if p.isEngine(&m) || m.Prot == 0 || m.End-m.Start > most {
		a.all(m.Prot != 0)
		return nil
	}
	for at := m.Start; at < m.End; at += pageSize {
		p.guard.hidden[at] = true
	}
	if ret, err := p.call(t, unix.SYS_MPROTECT, m.Start, m.End-m.Start, unix.PROT_NONE); err != nil || ret != 0 {
		return fmt.Errorf("hide %#x-%#x: result %d: %w", m.Start, m.End, ret, err)
	}
	return nil
}

// areas lists those of all images.
func (c *cut) mappings() []*touchedMapping {
	all := slices.Clone(c.touched.mappings)
	for _, of := range c.programs {
		all = append(all, of.mappings...)
	}
	return all
}

// stacks looks for what may be return addresses on the threads' stacks.
func (c *cut) stacks(p *Process) error {
	c.stacked = map[recording.FileID]bool{}
	const most = 1 << 20 // of a stack
	for _, t := range p.threads {
		a := c.touched.find(t.regs.SP())
		if a == nil {
			continue
		}
		b := make([]byte, min(a.End-t.regs.SP(), most)&^7)
		if err := (ptrace.Mem)(p.pid).ReadAt(b, t.regs.SP()); err != nil {
			return fmt.Errorf("read the stack of thread %d: %w", t.TID, err)
		}
		for ; len(b) > 0; b = b[8:] {
			if to := c.touched.find(binary.LittleEndian.Uint64(b)); to != nil && to.File != 0 && to.Prot&unix.PROT_EXEC != 0 {
				c.stacked[to.File] = true
			}
		}
	}
	return nil
}

// runs reports whether code of a file runs after the event, or is returned to:
// then readers of stacks need its tables.
func (c *cut) runs(id recording.FileID) bool {
	if c.stacked[id] {
		return true
	}
	for _, a := range c.mappings() {
		if a.File == id && a.Prot&unix.PROT_EXEC != 0 && slices.Contains(a.seen, true) {
			return true
		}
	}
	return slices.ContainsFunc(c.mapped, func(m recording.Mapping) bool { return m.File == id })
}

// isEngine tells pyrr's own memory, which is read and written all the time.
func (p *Process) isEngine(m *recording.Mapping) bool {
	base := p.startArea.Base
	for _, e := range p.engine {
		if m.Start < e.End && m.End > e.Start {
			return true
		}
	}
	return m.Start < base+inject.AreaSize && m.End > base ||
		p.cell != 0 && (p.cell >= m.Start && p.cell < m.End || p.stubs >= m.Start && p.stubs < m.End)
}

// changes describes the new recording.
func (c *cut) changes(rec *recording.Recording) (recording.Changes, error) {
	start := &c.begin[0]
	c.readable(rec)
	for _, a := range c.touched.mappings {
		a.add(start)
		a.addOwn(start, true)
	}
	for _, a := range c.touched.mappings {
		a.addOwn(start, false)
	}
	shift := int64(len(c.begin)) - int64(c.event)
	files, err := c.unused(rec)
	if err != nil {
		return recording.Changes{}, err
	}
	return recording.Changes{
		Begin: map[int]recording.Beginning{c.proc: {From: c.event, Events: c.begin}},
		Leave: func(proc int) bool { return !c.later[proc] },
		Files: files,
		Event: func(proc int, _ uint64, ev *recording.Event) {
			if proc == c.proc {
				ev.Instr -= min(ev.Instr, c.instr)
			}
			if ev.Kind == recording.KindStart && ev.Proc.Parent == c.proc {
				moved := *ev.Proc
				moved.ParentEvent = uint64(int64(moved.ParentEvent) + shift)
				ev.Proc = &moved
			}
		},
		Small: true,
	}, nil
}
