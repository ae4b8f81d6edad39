package replay

import (
	"errors"
	"maps"
	"slices"

	"pyrr/cpython"
)

// syncPython makes the hooks.
func (p *Process) syncPython(t *Thread) error {
	if p.stubs == 0 {
		return nil
	}
	if !p.s.breaks.python() && !p.s.counting() {
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
	p.setFilter()
	if p.s.counting() {
		p.hooks.canPass = false // all functions are to be known
		if err := p.readyCounts(); err != nil {
			return err
		}
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
	rules := p.rules()
	values, entries := map[int][]uint32{}, map[int]bool{}
	if ops := rules.EntryOpcodes(); ops != nil {
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
		if rules.InSwitch() {
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
	for _, code := range p.running() {
		// One that can't be read can't have a breakpoint.
		_, _ = p.code(code)
	}
}

// running lists the code objects of the frames on the stacks of all threads, as far as
// they can be read.
func (p *Process) running() []uint64 {
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	var codes []uint64
	threads, _ := rt.Threads(p.Mem())
	for _, pt := range threads {
		frames, _ := rt.Frames(p.Mem(), pt, cpython.Options{})
		for _, f := range frames {
			codes = append(codes, f.Code)
		}
	}
	return codes
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
		if have.code == s.code && have.loop == s.loop && have.behind == s.behind && have.switched == s.switched && have.anywhere == s.anywhere && have.after == s.after {
			have.breaks = append(have.breaks, b)
			return
		}
	}
	s.breaks = []*Break{b}
	p.sites[addr] = append(p.sites[addr], s)
}
