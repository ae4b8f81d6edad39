package replay

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
)

// BreakKind is what a breakpoint waits for.
type BreakKind uint8

// The kinds of breakpoints.
const (
	BreakCall   BreakKind = iota + 1 // a Python function is entered
	BreakLine                        // a line of Python is about to run
	BreakReturn                      // a Python function is left with a value
	BreakRaise                       // an exception is raised: it gets its first traceback entry
	BreakSymbol                      // a C function is entered
	BreakAddr                        // an instruction of the program is about to run
)

// Break is a breakpoint. What it names need not exist yet: it takes effect
// in each code object and each module that appears and has it.
type Break struct {
	Kind BreakKind
	// File restricts Python breakpoints to files that end in these path
	// components; Line and Func say where.
	File string
	Line int
	// Func is a function's qualified name or the end of it; before Python
	// 3.11, which has only plain names, its last part counts.
	Func string
	// Name is the symbol, or the class of the exception; "" for any.
	Name string
	Addr uint64
	// Thread, when not 0, is the only thread that it stops.
	Thread int32
	// Proc, when not 0, is the only process.
	Proc int
	// Cond, when not nil, decides about each stop.
	Cond Condition
	// Off leaves it out.
	Off bool

	frames *frameStops
}

// Condition decides whether a breakpoint stops.
type Condition interface{ Holds(*Hit) bool }

// Hit is a stop at breakpoints.
type Hit struct {
	Process *Process
	Thread  *Thread
	Breaks  []*Break
	// Pos is the instruction count, and the number of the event that the
	// thread is on its way to.
	Pos recording.Pos
	// Code, Offset and Line are those of the Python instruction about to run,
	// where the breakpoint is one of Python's. NextInstr is its address, for
	// cpython.Options.
	Code         *cpython.Code
	Offset, Line int
	NextInstr    uint64
	// Exception is the one that is being raised.
	Exception *cpython.Exception
}

// site is a bytecode instruction with breakpoints.
type site struct {
	code   *cpython.Code
	off    int
	breaks []*Break
	// loop and prev are cpython.LineStart's; behind is set for the
	// instruction behind a fused one.
	loop, behind bool
	prev         int
	switched     bool   // only through the switch's table, up to 3.10
	after        uint64 // the frame that goes on here behind a call, 0 for no such
	anywhere     bool   // not only where a line begins
}

// breakpoints are those of a session; gen changes with them.
type breakpoints struct {
	list []*Break
	gen  int
	// quiet leaves all out, while going somewhere; temp are addresses to stop
	// at all the same.
	quiet bool
	temp  []uint64
}

func (b *breakpoints) python() bool {
	return slices.ContainsFunc(b.list, func(b *Break) bool { return !b.Off && (b.Kind <= BreakReturn || b.frames != nil) })
}

// matchFile says whether a file's path ends in the components of a pattern.
func matchFile(pattern, file string) bool {
	return pattern == "" || file == pattern || strings.HasSuffix(file, "/"+strings.TrimPrefix(pattern, "/")) && !strings.HasPrefix(pattern, "/")
}

// matchFunc says whether a function's name ends in the parts of a pattern.
func matchFunc(pattern, name string, qualified bool) bool {
	if pattern == "" {
		return true
	}
	if !qualified {
		if i := strings.LastIndexByte(pattern, '.'); i >= 0 {
			pattern = pattern[i+1:]
		}
	}
	return name == pattern || strings.HasSuffix(name, "."+pattern)
}

func (b *Break) matches(p *Process, c *cpython.Code) bool {
	if b.Off || b.Proc != 0 && b.Proc != p.Info.ID || !matchFile(b.File, c.File) {
		return false
	}
	switch b.Kind {
	case BreakCall, BreakReturn:
		return matchFunc(b.Func, c.Func, parseVersion(p.Info.Python).Minor >= 11)
	case BreakLine:
		return b.Line >= c.FirstLine
	case breakFrames:
		return b.frames.codes[c.Addr]
	}
	return false
}

func (p *Process) matchesAny(c *cpython.Code) bool {
	return slices.ContainsFunc(p.s.breaks.list, func(b *Break) bool { return b.matches(p, c) })
}

// sync brings what is written into the process in line with the breakpoints,
// the modules and the code objects that there are. t is the thread that runs
// next.
func (p *Process) sync(t *Thread) error {
	b := &p.s.breaks
	if p.gen == b.gen && (!p.unsynced && !p.stale || b.quiet && len(b.temp) == 0) {
		return nil
	}
	if len(b.list) == 0 && len(b.temp) == 0 && len(p.patches) == 0 {
		p.gen, p.unsynced = b.gen, false
		return nil
	}
	if err := p.flush(t); err != nil {
		return err
	}
	if err := p.syncNative(); err != nil {
		return err
	}
	if err := p.syncPython(t); err != nil {
		return err
	}
	p.gen, p.unsynced = b.gen, false
	return nil
}

// raiseSymbol is called by the eval loop for each frame that an exception
// passes (Python/ceval.c, label error).
const raiseSymbol = "PyTraceBack_Here"

// syncNative puts an int3 where a C breakpoint is, and takes it away where
// there is none any more.
func (p *Process) syncNative() error {
	want := map[uint64][]*Break{}
	for _, a := range p.s.breaks.temp {
		want[a] = []*Break{}
	}
	for _, b := range p.s.breaks.list {
		if b.Off || p.s.breaks.quiet || b.Proc != 0 && b.Proc != p.Info.ID {
			continue
		}
		switch b.Kind {
		case BreakAddr:
			want[b.Addr] = append(want[b.Addr], b)
		case BreakSymbol:
			for _, a := range p.Symbol(b.Name) {
				want[a] = append(want[a], b)
			}
		case BreakRaise:
			for _, a := range p.Symbol(raiseSymbol) {
				want[a] = append(want[a], b)
			}
		}
	}
	for _, q := range slices.Clone(p.patches) {
		if len(q.orig) == 1 && want[q.addr] == nil {
			if err := p.take(q.addr); err != nil {
				return err
			}
		}
	}
	for a := range want {
		if _, ok := p.patches.find(a); ok {
			continue
		}
		var unmapped *mem.Error
		if err := p.put(a, int3); err != nil && !errors.As(err, &unmapped) {
			return err
		}
	}
	p.native = want
	return nil
}

// symbolKey is a symbol of a file that is mapped somewhere.
type symbolKey struct {
	file  recording.FileID
	start uint64
	name  string
}

// Symbol returns the addresses of a dynamic symbol in the modules of the
// process.
func (p *Process) Symbol(name string) []uint64 {
	var found []uint64
	m := p.Mem()
	for i := range p.modules {
		mod := &p.modules[i]
		key := symbolKey{mod.File, mod.Start, name}
		a, known := p.s.symbols[key]
		if !known {
			file, bias, ok := p.moduleFile(*mod)
			if !ok {
				continue
			}
			var err error
			a, err = dynamicSymbol(file, m, bias, name)
			if err != nil {
				a = 0
			}
			// One that is still being mapped may get it.
			if err == nil || mod.age >= youth {
				if p.s.symbols == nil {
					p.s.symbols = map[symbolKey]uint64{}
				}
				p.s.symbols[key] = a
			}
		}
		if a != 0 && !slices.Contains(found, a) {
			found = append(found, a)
		}
	}
	return found
}

// youth is for how many changes of the address space a module may still be
// in the making.
const youth = 24

// spaceChanged looks for symbols that were not there before.
func (p *Process) spaceChanged() {
	young := false
	for i := range p.modules {
		if p.modules[i].age < youth {
			young = true
			break
		}
	}
	if !young {
		return
	}
	p.modules = slices.Clone(p.modules)
	for i := range p.modules {
		p.modules[i].age++
	}
	if slices.ContainsFunc(p.s.breaks.list, func(b *Break) bool { return b.Kind == BreakSymbol || b.Kind == BreakRaise }) {
		p.unsynced = true
	}
}

// syncPython makes the hooks.
func (p *Process) syncPython(t *Thread) error {
	if p.stubs == 0 {
		return nil
	}
	if !p.s.breaks.python() {
		p.sites = nil
		return p.unhook()
	}
	if p.s.breaks.quiet {
		p.sites, p.looked = nil, false
		if len(p.hooks.on) == 0 {
			return nil
		}
		return p.writeHooks(t, nil, nil)
	}
	if !p.nextKnown {
		return errors.New("this recording does not say where the interpreter keeps its next instruction; record it again to have Python breakpoints")
	}
	if _, err := p.Runtime(); err != nil {
		if errors.Is(err, ErrNoPython) && p.python.failed == nil {
			return nil
		}
		return err
	}
	if err := p.readStubs(); err != nil {
		return err
	}
	if err := p.mapHooks(t); err != nil {
		return err
	}
	if !p.looked {
		p.looked = true
		p.lookAround()
	}
	if p.stale {
		if err := p.retabulate(); err != nil {
			return err
		}
	}
	p.findSites()
	version := parseVersion(p.Info.Python)
	values, entries := map[int][]uint32{}, map[int]bool{}
	if ops := version.EntryOpcodes(); ops != nil {
		for _, op := range ops {
			entries[op] = true
		}
	} else {
		for n := stubs / 2; n < stubs; n++ {
			entries[n] = true
		}
	}
	for _, addr := range slices.Sorted(maps.Keys(p.sites)) {
		s := p.sites[addr][0]
		v := uint32(addr - p.nextBias())
		for _, op := range s.code.Opcodes(s.off) {
			values[op] = append(values[op], v)
		}
		if version.Minor <= 10 {
			for n := stubs / 2; n < stubs; n++ {
				values[n] = append(values[n], v)
			}
		}
	}
	for n := range values {
		slices.Sort(values[n])
		values[n] = slices.Compact(values[n])
	}
	return p.writeHooks(t, values, entries)
}

// lookAround learns of the functions that are running when the first Python
// breakpoint is set.
func (p *Process) lookAround() {
	rt, err := p.Runtime()
	if err != nil {
		return
	}
	threads, _ := rt.Threads(p.Mem())
	for _, pt := range threads {
		frames, _ := rt.Frames(p.Mem(), pt, cpython.Options{})
		for _, f := range frames {
			// One that can't be read can't have a breakpoint.
			_, _ = p.code(f.Code)
		}
	}
}

// findSites finds the instructions of the known code objects that have
// breakpoints.
func (p *Process) findSites() {
	p.sites = map[uint64][]*site{}
	for _, c := range p.python.codes {
		var starts []cpython.LineStart
		for _, b := range p.s.breaks.list {
			if !b.matches(p, c) {
				continue
			}
			switch b.Kind {
			case BreakCall:
				p.addSite(&site{code: c, off: c.Entry(), switched: true}, b)
			case BreakReturn:
				for _, off := range c.Returns() {
					p.addSite(&site{code: c, off: off, anywhere: true}, b)
				}
			case breakFrames:
				if b.frames.entry {
					p.addSite(&site{code: c, off: c.Entry(), switched: true}, b)
					break
				}
				for _, s := range c.LineStarts() {
					p.addSite(&site{code: c, off: s.Offset, loop: s.Loop}, b)
					if s.Fused != 0 {
						p.addSite(&site{code: c, off: s.Fused, behind: true, prev: s.Prev}, b)
					}
				}
				if c.Addr == b.frames.afterCode {
					p.addSite(&site{code: c, off: b.frames.after, after: b.frames.afterFrame}, b)
				}
			case BreakLine:
				if starts == nil {
					starts = c.LineStarts()
				}
				for _, s := range starts {
					if s.Line != b.Line {
						continue
					}
					p.addSite(&site{code: c, off: s.Offset, loop: s.Loop}, b)
					if s.Fused != 0 {
						p.addSite(&site{code: c, off: s.Fused, behind: true, prev: s.Prev}, b)
					}
				}
			}
		}
	}
}

func (p *Process) addSite(s *site, b *Break) {
	addr := s.code.Base + uint64(s.off)
	for _, have := range p.sites[addr] {
		if have.loop == s.loop && have.behind == s.behind && have.switched == s.switched && have.anywhere == s.anywhere && have.after == s.after {
			have.breaks = append(have.breaks, b)
			return
		}
	}
	s.breaks = []*Break{b}
	p.sites[addr] = append(p.sites[addr], s)
}

// atHook handles a stop in a hook.
func (p *Process) atHook(t *Thread, h hookTrap) (halt, bool, error) {
	if h.kind == trapNew {
		if h.fault {
			if err := p.scratch(t); err != nil {
				return 0, false, err
			}
		}
		if err := p.learn(t); err != nil {
			t.told = true // it stays unknown, and runs on
		}
		return 0, true, nil
	}
	p.hit = p.atSite(t, h.stub)
	t.told = true
	if p.hit == nil {
		return 0, true, nil
	}
	return haltPython, false, nil
}

// atSite returns the breakpoints of the bytecode instruction that a thread is
// about to run through the stub, nil when none applies.
func (p *Process) atSite(t *Thread, stub int) *Hit {
	next := p.NextInstr(t)
	sites := p.sites[next]
	if len(sites) == 0 {
		return nil
	}
	m := p.Mem()
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	version := parseVersion(p.Info.Python)
	var hit *Hit
	var frame cpython.Frame
	for _, s := range sites {
		var on []*Break
		for _, b := range s.breaks {
			if !b.Off && (b.Thread == 0 || b.Thread == t.TID) {
				on = append(on, b)
			}
		}
		if len(on) == 0 {
			continue
		}
		if !rt.Holds(m, s.code) {
			delete(p.python.codes, s.code.Addr)
			p.unsynced = true
			continue
		}
		if version.Minor <= 10 && s.switched && stub < stubs/2 {
			continue // a loop's jump back to the first instruction
		}
		if version.Minor >= 11 {
			// Memory has the instruction before this one.
			if frame.Addr == 0 {
				if frame, err = p.topFrame(t); err != nil {
					continue
				}
			}
			switch before := frame.Instr; {
			case s.after != 0:
				if frame.Addr != s.after {
					continue
				}
			case s.switched && version.Minor >= 13:
				// A new frame has its first instruction there already.
				again := p.lastCall == lastCall{t.TID, next, p.counted - 1}
				if p.lastCall = (lastCall{t.TID, next, p.counted}); again {
					continue
				}
			case before == s.off && !s.code.JumpsBack(s.off):
				continue // a second dispatch: it was specialised just now
			case s.behind && before != s.prev:
				continue
			case !s.switched && !s.behind && !s.anywhere && before > s.code.Entry() && before < s.off && s.code.Line(before) == s.code.Line(s.off):
				continue // it came from before, on the same line
			}
		} else if s.after != 0 {
			if frame, err = p.topFrame(t); err != nil || frame.Addr != s.after {
				continue
			}
		} else if s.behind || s.loop && !p.cameBack(t, s) {
			continue
		} else if !s.loop && !s.switched && !s.anywhere {
			p.lineBegins(t, s)
		}
		if slices.ContainsFunc(on, func(b *Break) bool { return b.frames != nil }) {
			if frame.Addr == 0 {
				if frame, err = p.topFrame(t); err != nil {
					continue
				}
			}
			on = slices.DeleteFunc(on, func(b *Break) bool { return b.frames != nil && !b.frames.frames[frame.Addr] })
			if len(on) == 0 {
				continue
			}
		}
		if hit == nil {
			off := s.off
			if s.behind {
				off = s.off - 2
			}
			hit = &Hit{Process: p, Thread: t, Code: s.code, Offset: s.off, Line: s.code.Line(off), NextInstr: next}
		}
		hit.Breaks = append(hit.Breaks, on...)
	}
	if hit != nil {
		hit.Pos = recording.Pos{Instr: p.counted, Event: p.Number}
	}
	return hit
}

// Up to 3.10 memory does not tell which instruction came before a dispatch.
// The first instruction of a line that is a loop by itself is passed once for
// each beginning of the line before a jump comes back to it.

// lastCall is the last function that was told to be entered.
type lastCall struct {
	tid   int32
	next  uint64
	count uint64
}

type begun struct {
	tid  int32
	code uint64
	line int
}

func (p *Process) lineBegins(t *Thread, s *site) {
	if p.begun == nil {
		p.begun = map[begun]bool{}
	}
	p.begun[begun{t.TID, s.code.Addr, s.code.Line(s.off)}] = true
}

func (p *Process) cameBack(t *Thread, s *site) bool {
	key := begun{t.TID, s.code.Addr, s.code.Line(s.off)}
	if p.begun[key] {
		delete(p.begun, key)
		return false
	}
	return true
}

// atNative returns the breakpoints of the address that a thread stands at,
// nil when none applies.
func (p *Process) atNative(t *Thread) *Hit {
	var hit *Hit
	for _, b := range p.native[t.regs.Rip] {
		if b.Off || b.Thread != 0 && b.Thread != t.TID {
			continue
		}
		var exc *cpython.Exception
		var frame cpython.Frame
		if b.Kind == BreakRaise {
			var err error
			if frame, err = p.topFrame(t); err != nil || !matchFile(b.File, frame.File) {
				continue
			}
			if exc = p.raising(t, b.Name); exc == nil {
				continue
			}
		}
		if hit == nil {
			hit = &Hit{Process: p, Thread: t, Pos: recording.Pos{Instr: p.counted, Event: p.Number}}
		}
		if exc != nil {
			hit.Code, _ = p.code(frame.Code) // only what it belongs to
			hit.Offset, hit.Line = frame.Instr, frame.Line
		}
		hit.Breaks = append(hit.Breaks, b)
		hit.Exception = cmp.Or(hit.Exception, exc)
	}
	return hit
}

// raising returns the exception that a thread is raising, if it has no
// traceback yet and is of a class with the name.
func (p *Process) raising(t *Thread, name string) *cpython.Exception {
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	pt, err := p.PyThread(t)
	if err != nil {
		return nil
	}
	exc, err := rt.Raised(p.Mem(), pt, name)
	if err != nil {
		return nil
	}
	return exc
}

// tell calls the user's hook for a breakpoint that was hit.
func (p *Process) tell(t *Thread, ev *recording.Event) error {
	hit := p.hit
	if hit == nil {
		hit = p.atNative(t)
	}
	p.hit = nil
	if hit == nil || p.s.o.OnHit == nil {
		return nil
	}
	if err := p.flush(t); err != nil {
		return err
	}
	return p.s.o.OnHit(hit)
}

// String says what a breakpoint waits for.
func (b *Break) String() string {
	place := b.Func
	switch {
	case b.File != "" && b.Func != "":
		place = b.File + "::" + b.Func
	case b.File != "" && b.Line != 0:
		place = fmt.Sprintf("%s:%d", b.File, b.Line)
	case b.File != "":
		place = b.File
	}
	switch b.Kind {
	case BreakCall:
		return "call " + place
	case BreakLine:
		return "line " + place
	case BreakReturn:
		return "return " + place
	case BreakRaise:
		return strings.TrimSpace("raise " + b.Name)
	case BreakSymbol:
		return "enter " + b.Name
	case BreakAddr:
		return fmt.Sprintf("address %#x", b.Addr)
	}
	return "breakpoint"
}
