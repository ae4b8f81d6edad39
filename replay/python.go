package replay

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// Module is a file that a process has mapped.
type Module struct {
	Start uint64 // where its beginning is mapped
	File  recording.FileID
	Name  string
	// age counts the changes of the address space since it was mapped.
	age int
}

// python is what is known of a process's interpreter.
type python struct {
	rt     *cpython.Runtime
	failed error
	// failedAt is the event at which.
	failedAt uint64
	// known are the functions that may be entered without a stop, by the
	// value that the next-instruction register has then; codes are theirs, by
	// address.
	known map[uint64]*cpython.Code
	codes map[uint64]*cpython.Code
	// tstates are the thread states by the thread's number.
	tstates map[int32]cpython.Thread
}

func (y *python) clone() python {
	c := python{known: maps.Clone(y.known), codes: maps.Clone(y.codes), tstates: maps.Clone(y.tstates)}
	if y.rt != nil {
		// Its own, as it asks its process for the numbers of threads.
		c.rt = y.rt.Clone()
	}
	return c
}

// Modules lists the files that the process has mapped, in the order of
// mapping.
func (p *Process) Modules() []Module { return p.modules }

// Engine lists the mappings that the recorder added to the program.
func (p *Process) Engine() []recording.Mapping { return p.engine }

// mapped keeps track of mappings.
func (p *Process) mapped(ms []recording.Mapping) {
	for _, m := range ms {
		p.unmapped(m.Start, m.End)
		if m.File == 0 && strings.HasPrefix(m.Name, "[pyrr") {
			p.engine = append(slices.Clip(p.engine), m)
		}
		if m.File != 0 && m.Offset == 0 && !p.isSegment(m) {
			p.modules = append(slices.Clip(p.modules), Module{Start: m.Start, File: m.File, Name: m.Name})
		}
	}
}

// isSegment says whether a mapping of a file's first page is a segment of a
// module that is there already: lld leaves no holes in files, so that the end of one
// segment and the beginning of the next may both lie in that page.
func (p *Process) isSegment(m recording.Mapping) bool {
	for _, mod := range slices.Backward(p.modules) {
		if mod.File != m.File || mod.Start >= m.Start {
			continue
		}
		file, bias, ok := p.moduleFile(mod)
		if !ok {
			return false
		}
		progs, err := programHeaders(file)
		return err == nil && slices.ContainsFunc(progs, func(s *elf.Prog) bool {
			const page = 4096
			return s.Type == elf.PT_LOAD && s.Off < page && (bias+s.Vaddr)&^(page-1) == m.Start
		})
	}
	return false
}

// unmapped forgets what lay in a range.
func (p *Process) unmapped(lo, hi uint64) {
	in := func(m Module) bool { return m.Start >= lo && m.Start < hi }
	if slices.ContainsFunc(p.modules, in) {
		p.modules = slices.DeleteFunc(slices.Clone(p.modules), in)
	}
	p.forget(lo, hi)
}

// ErrNoPython says that a process runs no Python whose state can be read, or
// not yet.
var ErrNoPython = errors.New("no Python is running here")

// Runtime returns the reader of the process's interpreter.
func (p *Process) Runtime() (*cpython.Runtime, error) {
	y := &p.python
	if y.rt != nil || y.failed != nil && y.failedAt == p.Number {
		return y.rt, y.failed
	}
	if p.cell == 0 {
		return p.uncountedRuntime()
	}
	m := p.Mem()
	err := ErrNoPython
	for _, mod := range slices.Backward(p.modules) {
		file, bias, ok := p.moduleFile(mod)
		if !ok || bias != p.ClockBias {
			continue
		}
		var addr uint64
		if addr, err = dynamicSymbol(file, m, bias, "_PyRuntime"); err != nil {
			// One that is linked statically has no such symbols.
			if addr, _, err = cpython.FindRuntime(file, mod.Name); err != nil {
				continue
			}
			addr += bias
		}
		var rt *cpython.Runtime
		if rt, err = cpython.OpenRuntimeAt(parseVersion(p.Info.Python), addr, m); err == nil {
			rt.TID = p.threadOf
			y.rt, y.failed = rt, nil
			return rt, nil
		}
	}
	// It may be that the interpreter is not ready yet.
	y.failed, y.failedAt = fmt.Errorf("interpreter of process %d: %w", p.Info.ID, err), p.Number
	return nil, y.failed
}

// ForgetPython makes the process's interpreter be read again from here on,
// with nothing taken from what was read before.
func (p *Process) ForgetPython() { p.python.rt, p.python.failed = nil, nil }

// threadOf returns the number of the thread whose pthread_t is given.
func (p *Process) threadOf(pthread uint64) (int, bool) {
	for tid, t := range p.threads {
		if t.regs.TLS() == pthread {
			return int(tid), true
		}
	}
	return 0, false
}

// moduleFile returns a module's file, as far as the recording has it, and by
// how much it is mapped above its link addresses.
func (p *Process) moduleFile(mod Module) (io.ReaderAt, uint64, bool) {
	mf, ok := p.s.modfiles[mod.File]
	if !ok {
		if file, size, err := p.s.rec.ReadFile(mod.File); err == nil {
			mf.r = io.NewSectionReader(file, 0, size)
			// The headers are in the first page; the bias is that of a module
			// at 0.
			mf.bias, mf.ok = loadBias(mf.r, 0)
		}
		if p.s.modfiles == nil {
			p.s.modfiles = map[recording.FileID]modFile{}
		}
		p.s.modfiles[mod.File] = mf
	}
	return mf.r, mf.bias + mod.Start, mf.ok
}

// modFile is what is kept of a module's file.
type modFile struct {
	r    io.ReaderAt
	bias uint64
	ok   bool
}

// loadBias returns by how much a module whose file begins at start is mapped
// above its link addresses.
func loadBias(file io.ReaderAt, start uint64) (uint64, bool) {
	progs, err := programHeaders(file)
	if err != nil {
		return 0, false
	}
	for _, prog := range progs {
		if prog.Type == elf.PT_LOAD && prog.Off == 0 {
			return start - prog.Vaddr, true
		}
	}
	return 0, false
}

// parseVersion reads a version as the clock's event has it: 3.11.7, or 3.11.
func parseVersion(s string) cpython.Version {
	v := cpython.Version{Micro: -1}
	fmt.Sscanf(s, "%d.%d.%d", &v.Major, &v.Minor, &v.Micro) // what is missing stays
	return v
}

// rules are those of the process's Python.
func (p *Process) rules() *cpython.Rules { return parseVersion(p.Info.Python).Rules() }

// PyThread returns the Python thread that a thread runs.
func (p *Process) PyThread(t *Thread) (cpython.Thread, error) {
	rt, err := p.Runtime()
	if err != nil {
		return cpython.Thread{}, err
	}
	all, err := rt.Threads(p.Mem())
	if err != nil && len(all) == 0 {
		if p.cell == 0 { // before the interpreter begins its state is not there
			err = fmt.Errorf("%w: %w", ErrNoPython, err)
		}
		return cpython.Thread{}, err
	}
	out, ok := rt.Of(p.Mem(), all, int(t.TID), t.regs.TLS())
	if !ok {
		return out, fmt.Errorf("thread %d: %w", t.TID, ErrNoPython)
	}
	return out, nil
}

// PyFrames reads the Python frames of a thread, innermost first, at most limit (0
// for all): at least one, or an error.
func (p *Process) PyFrames(t *Thread, limit int) ([]cpython.Frame, error) {
	rt, err := p.Runtime()
	if err != nil {
		return nil, err
	}
	pt, err := p.PyThread(t)
	if err != nil {
		return nil, err
	}
	frames, err := rt.Frames(p.Mem(), pt, cpython.Options{Limit: limit, NextInstr: p.NextInstr(t)})
	if len(frames) == 0 {
		if err == nil {
			err = ErrNoPython
		}
		return nil, err
	}
	return frames, nil
}

// TopFrame is the innermost Python frame of a thread, for reading its variables:
// quicker than PyFrames, and its line may be that of the instruction before.
func (p *Process) TopFrame(t *Thread) (cpython.Frame, error) { return p.topFrame(t) }

// NextInstr returns the address of the bytecode instruction that a thread is
// about to run, which is known where it stands at a dispatch; else 0.
func (p *Process) NextInstr(t *Thread) uint64 {
	if !p.atDispatch(t) || !p.nextKnown {
		return 0
	}
	return p.nextInstr.At(p.Mem(), &t.regs)
}

// atDispatch says whether a thread stands at the jump of a counting stub.
func (p *Process) atDispatch(t *Thread) bool {
	pc := t.regs.PC()
	return p.stubs != 0 && pc >= p.stubs && pc-p.stubs < clockCode && (pc-p.stubs)%stubSize == stubJump
}

// nextBias is what to add to the place: up to 3.10 next_instr points
// behind the instruction.
func (p *Process) nextBias() uint64 {
	return uint64(int64(p.nextInstr.Bias))
}

// topFrame reads the innermost Python frame of a thread; its Instr is what
// memory has, which is from 3.11 on the instruction before a dispatch.
func (p *Process) topFrame(t *Thread) (cpython.Frame, error) {
	rt, err := p.Runtime()
	if err != nil {
		return cpython.Frame{}, err
	}
	m := p.Mem()
	read := func(pt cpython.Thread) (cpython.Frame, error) {
		fs, err := rt.Frames(m, pt, cpython.Options{Limit: 1})
		if len(fs) == 0 {
			if err == nil {
				err = ErrNoPython
			}
			return cpython.Frame{}, err
		}
		return fs[0], nil
	}
	if pt, ok := p.python.tstates[t.TID]; ok && pt.Ident == t.regs.TLS() {
		if f, err := read(pt); err == nil {
			return f, nil
		}
	}
	pt, err := p.PyThread(t)
	if err != nil {
		return cpython.Frame{}, err
	}
	if p.python.tstates == nil {
		p.python.tstates = map[int32]cpython.Thread{}
	}
	p.python.tstates[t.TID] = pt
	return read(pt)
}

// learn makes the code object of a thread's innermost frame known, which it
// enters with the instruction at hand.
func (p *Process) learn(t *Thread) error {
	next := p.NextInstr(t)
	f, err := p.topFrame(t)
	if err != nil {
		return fmt.Errorf("function that is entered: %w", err)
	}
	c, err := p.code(f.Code)
	if err != nil {
		return fmt.Errorf("function that is entered: %w", err)
	}
	if next-c.Base >= uint64(c.Size) {
		// Not the code that runs: the frame is not up to date. It has no
		// breakpoint then, and is not looked at again.
		return p.know(next, c)
	}
	return p.know(next, c)
}

// code returns a code object, from memory where it is not known.
func (p *Process) code(addr uint64) (*cpython.Code, error) {
	rt, err := p.Runtime()
	if err != nil {
		return nil, err
	}
	y := &p.python
	if c := y.codes[addr]; c != nil && rt.Holds(p.Mem(), c) {
		return c, nil
	}
	c, err := rt.Code(p.Mem(), addr)
	if err != nil {
		return nil, err
	}
	if y.codes == nil {
		y.codes = map[uint64]*cpython.Code{}
	}
	if err := p.replaced(c); err != nil {
		return nil, err
	}
	y.codes[addr] = c
	if p.matchesAny(c) {
		p.unsynced = true
	}
	return c, nil
}

// know lets a function be entered at an instruction without a stop.
func (p *Process) know(next uint64, c *cpython.Code) error {
	y := &p.python
	if y.known == nil || len(y.known) >= maxKnown {
		y.known = map[uint64]*cpython.Code{}
		p.stale = true
	}
	value := next - p.nextBias()
	y.known[value] = c
	if p.stale {
		return nil
	}
	return p.tabulate(value, c)
}

// tabulate writes an entry of the table of known functions.
func (p *Process) tabulate(value uint64, c *cpython.Code) error {
	e, err := p.entry(value, c)
	if err != nil {
		return err
	}
	var keys [tableSlack * tableEntry]byte
	at := hookTable + tableHome(value)
	if err := (ptrace.Mem)(p.pid).ReadAt(keys[:], at); err != nil {
		return fmt.Errorf("read the table of functions: %w", err)
	}
	for i := range tableSlack - 1 {
		k := binary.LittleEndian.Uint64(keys[i*tableEntry:])
		if k == 0 || k == value {
			return ptrace.Write(p.pid, at+uint64(i*tableEntry), e[:])
		}
	}
	// Too many in one place: begin again.
	p.python.known = map[uint64]*cpython.Code{}
	p.stale = true
	return nil
}

func tableHome(value uint64) uint64 {
	return (uint64(uint32(value)) >> 4 & (tableEntries - 1)) * tableEntry
}

func (p *Process) entry(value uint64, c *cpython.Code) (e [tableEntry]byte, err error) {
	rt, err := p.Runtime()
	if err != nil {
		return e, err
	}
	addrs, values, err := rt.Identity(p.Mem(), c)
	if err != nil {
		return e, fmt.Errorf("code object at %#x: %w", c.Addr, err)
	}
	binary.LittleEndian.PutUint64(e[0:], value)
	for i := range addrs {
		binary.LittleEndian.PutUint64(e[8+16*i:], addrs[i])
		binary.LittleEndian.PutUint64(e[16+16*i:], values[i])
	}
	return e, nil
}

// retabulate writes the whole table: into a process that was copied at
// another time than what is known.
func (p *Process) retabulate() error {
	rt, err := p.Runtime()
	if err != nil {
		return err
	}
	b := make([]byte, (tableEntries+tableSlack)*tableEntry)
	m := p.Mem()
	for value, c := range p.python.known {
		// It may not be there at this time, or another in its place, whose
		// entry would let that one pass.
		e, err := p.entry(value, c)
		if err != nil || !rt.Holds(m, c) {
			delete(p.python.known, value)
			continue
		}
		home := tableHome(value)
		for i := range uint64(tableSlack - 1) {
			slot := b[home+i*tableEntry:]
			if binary.LittleEndian.Uint64(slot) == 0 {
				copy(slot, e[:])
				break
			}
		}
	}
	p.stale = false
	if err := ptrace.WriteU64(p.pid, cellPassed, 0); err != nil {
		return fmt.Errorf("write the cells of hooks: %w", err)
	}
	return ptrace.Write(p.pid, hookTable, b)
}
