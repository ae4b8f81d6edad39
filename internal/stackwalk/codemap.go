package stackwalk

import (
	"io"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// codeMap follows where a replayed process has code mapped.
type codeMap struct {
	Modules *unwind.Modules
	// stubs is where the counting stubs lie, 0 before they do.
	stubs uint64
	// calls is where the trampolines of system calls lie.
	calls, callsEnd uint64
	// pauses are where pauses are counted.
	pauses  []recording.Mapping
	version int // counts changes
}

func NewCodeMap() *codeMap {
	c := &codeMap{Modules: &unwind.Modules{}}
	c.Modules.Redirect = c.Redirect
	return c
}

func (c *codeMap) clone() *codeMap {
	out := &codeMap{Modules: c.Modules.Clone(), stubs: c.stubs, calls: c.calls, callsEnd: c.callsEnd, pauses: slices.Clip(c.pauses)}
	out.Modules.Redirect = out.Redirect
	return out
}

// ours says whether pc may lie in code of pyrr's, for which Redirect knows a place in
// the program's.
func (c *codeMap) ours(pc uint64) bool {
	return pc-c.calls < c.callsEnd-c.calls || pc-c.stubs < cpython.AreaCodeSize ||
		slices.ContainsFunc(c.pauses, func(m recording.Mapping) bool { return pc >= m.Start && pc < m.End })
}

func (c *codeMap) Redirect(m mem.Reader, pc uint64) (uint64, bool) {
	if pc >= c.calls && pc < c.callsEnd {
		return inject.CallSiteOf(m, c.calls, pc)
	}
	for i := range c.pauses {
		if pc >= c.pauses[i].Start && pc < c.pauses[i].End {
			return inject.PauseSiteOf(m, c.pauses[i].Start, pc)
		}
	}
	if c.stubs == 0 {
		return 0, false
	}
	return cpython.StubTarget(m, c.stubs, pc)
}

// filesOf returns the ELF files of a recording's files. What the recording has
// not kept of them is looked for on this machine.
func filesOf() *unwind.Files {
	return &unwind.Files{Find: &unwind.Finder{DebugDirs: []string{unwind.SystemDebugDir}, Originals: true}}
}

// Follow keeps track of what an event maps and unmaps.
func (c *codeMap) Follow(rec *recording.Recording, files *unwind.Files, m mem.Reader, ev *recording.Event) {
	for i := range ev.Maps {
		mp := &ev.Maps[i]
		switch {
		case mp.File != 0 && mp.Offset == 0:
			im, err := files.Get(mp.File, mp.Name, func() (io.ReaderAt, int64, error) { return rec.ReadFile(mp.File) })
			if err == nil {
				c.Modules.Map(mp.Start, im)
				c.version++
			}
		case mp.Prot&unix.PROT_EXEC == 0:
		case mp.Name == "[pyrr clock]":
			c.stubs = mp.Start
		case mp.Name == "[pyrr pauses]":
			c.pauses = append(c.pauses, *mp)
		case mp.Name == "[pyrr calls]":
			c.calls, c.callsEnd = mp.Start, mp.End
		case mp.Name == "[pyrr]":
			// The stand-in for the vDSO.
			if im, err := unwind.MemoryFile(mp.Name, m, mp.Start, mp.End); err == nil {
				c.Modules.Map(mp.Start, im)
				c.version++
			}
		}
	}
	if ev.Nr == unix.SYS_MUNMAP && ev.Kind == recording.KindSyscall && ev.Ret == 0 {
		c.Modules.Unmap(ev.Args[0], ev.Args[0]+ev.Args[1])
		c.version++
	}
}

// Walk returns the C frames of a thread at the event at hand.
func (c *codeMap) Walk(p *replay.Process, t *replay.Thread) []unwind.Frame {
	regs := t.Regs()
	return c.Modules.Walk(p.Mem(), UnwindRegs(&regs), 0)
}

// UnwindRegs puts a thread's registers in DWARF's order.
func UnwindRegs(r *linux.Regs) unwind.Regs {
	return unwind.AllRegs(r.DWARF())
}
