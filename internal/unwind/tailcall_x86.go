package unwind

import "slices"

// A function that ends with a jump to another one leaves the stack, and the
// other returns to its caller. Where the compiler has noted the tail calls,
// and they leave no doubt which function it was, it is shown, as gdb does.

// codePlace is a function with debug information in a module.
type codePlace struct {
	mod *Module
	d   *dwarfData
	fn  *function
}

// functionAt finds the function with debug information at a link address.
func (m *Module) functionAt(addr uint64) (codePlace, bool) {
	d := m.dwarfOf()
	if d == nil {
		return codePlace{}, false
	}
	fn := d.functionAt(addr)
	return codePlace{m, d, fn}, fn != nil
}

// tailSite is a tail call of a function.
type tailSite struct {
	in   codePlace
	site *callSite
}

func (c codePlace) tailSites() []tailSite {
	c.d.readTree(c.fn)
	out := make([]tailSite, len(c.fn.tails))
	for i, s := range c.fn.tails {
		out[i] = tailSite{c, s}
	}
	return out
}

// follow returns where a call of a function goes: a module and the link address
// of a function there. Of one that the compiler has split there are those of all
// parts: as gdb does, the entry is taken for certain only where it is looked for.
func (s *Modules) follow(c codePlace, site *callSite) (*Module, []uint64, bool) {
	t := c.d.target(site)
	if t.expr != nil {
		return nil, nil, false // depends on registers that are gone
	}
	return s.resolve(c.mod, t)
}

// entryAt finds the function that begins at a link address.
func (m *Module) entryAt(addr uint64) (codePlace, bool) {
	c, ok := m.functionAt(addr)
	return c, ok && c.fn.low == addr
}

// maxTailCalls bounds the calls looked at for one question.
const maxTailCalls = 4096

// enteredOnce says whether a function can't get back to its beginning by tail
// calls alone. Where a chain of them leads to what is not known, it might.
func (s *Modules) enteredOnce(mod *Module, f *function) bool {
	if f.once != unsure {
		return f.once == yes
	}
	f.once = no
	start, ok := mod.functionAt(f.low)
	if !ok {
		return false
	}
	todo := start.tailSites()
	seen := map[*function]bool{}
	for n := 0; len(todo) > 0; n++ {
		if n > maxTailCalls {
			return false
		}
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		m, lows, ok := s.follow(at.in, at.site)
		if !ok || m == mod && slices.Contains(lows, f.low) {
			return false
		}
		for _, low := range lows {
			next, ok := m.entryAt(low)
			if !ok {
				return false
			}
			if !seen[next.fn] {
				seen[next.fn] = true
				todo = append(todo, next.tailSites()...)
			}
		}
	}
	f.once = yes
	return true
}

// tailChain are the tail calls between a call and the function that it led
// to: those common to all possible ways, from the caller's side and from the
// callee's.
type tailChain struct {
	sites            []tailSite
	callers, callees int
}

// add takes one possible way into account. It returns false when nothing is
// common to all of them.
func (c *tailChain) add(first bool, way []tailSite) bool {
	if first {
		c.sites, c.callers, c.callees = slices.Clone(way), len(way), len(way)
		return true
	}
	common := func(limit int, equal func(i int) bool) int {
		for i := range limit {
			if !equal(i) {
				return i
			}
		}
		return limit
	}
	c.callers = common(min(c.callers, len(way)), func(i int) bool { return c.sites[i].site == way[i].site })
	c.callees = common(min(c.callees, len(way)), func(i int) bool {
		return c.sites[len(c.sites)-1-i].site == way[len(way)-1-i].site
	})
	return c.callers+c.callees > 0
}

// findChain looks for the tail calls by which a call led to the function that
// begins at callee in mod. ok is false where that is not certain.
func (s *Modules) findChain(from codePlace, site *callSite, mod *Module, callee uint64) (chain tailChain, ok bool) {
	found := false
	visited := map[*callSite]bool{}
	var way []tailSite
	steps := 0
	// visit follows one call; it returns false to give up.
	var visit func(c codePlace, site *callSite) bool
	visit = func(c codePlace, site *callSite) bool {
		if steps++; steps > maxTailCalls || len(way) > maxDepth {
			return false
		}
		m, lows, ok := s.follow(c, site)
		if !ok {
			return false
		}
		if m.File == mod.File && slices.Contains(lows, callee) {
			ok := chain.add(!found, way)
			found = true
			return ok
		}
		for _, low := range lows {
			next, ok := m.entryAt(low)
			if !ok {
				return false
			}
			for _, t := range next.tailSites() {
				if visited[t.site] {
					continue
				}
				visited[t.site] = true
				way = append(way, t)
				ok := visit(t.in, t.site)
				way = way[:len(way)-1]
				delete(visited, t.site)
				if !ok {
					return false
				}
			}
		}
		return true
	}
	return chain, visit(from, site) && found
}

// tailInfo says where a frame of an extended walk comes from.
type tailInfo struct {
	index int
	tail  bool
}

// withTailCalls adds the frames of functions that have left the stack.
func (s *Modules) withTailCalls(frames []Frame) ([]Frame, []tailInfo) {
	out := make([]Frame, 0, len(frames)+8)
	var info []tailInfo
	for i := range frames {
		out, info = append(out, frames[i]), append(info, tailInfo{i, false})
		if i+1 < len(frames) {
			for _, t := range s.tailFrames(&frames[i], &frames[i+1]) {
				out, info = append(out, t), append(info, tailInfo{i, true})
			}
		}
	}
	return out, info
}

// tailFrames returns the frames between a frame and its caller, innermost
// first.
func (s *Modules) tailFrames(f, caller *Frame) []Frame {
	if f.Module == nil || f.Signal || caller.Module == nil || !caller.Return {
		return nil
	}
	from, ok := caller.Module.functionAt(caller.PC - 1 - caller.Module.Bias)
	if !ok {
		return nil
	}
	site := from.fn.calls[caller.PC-caller.Module.Bias]
	if site == nil {
		return nil
	}
	start, ok := f.Module.functionStart(f.callPC() - f.Module.Bias)
	if !ok {
		return nil
	}
	chain, ok := s.findChain(from, site, f.Module, start)
	if !ok || len(chain.sites) == 0 {
		return nil
	}
	var out []Frame
	add := func(t tailSite) {
		n := Frame{PC: t.site.ret + t.in.mod.Bias, CFA: f.CFA, Regs: caller.Regs, Module: t.in.mod, Return: true}
		n.Regs.set(RIP, n.PC)
		n.Regs.set(RSP, f.CFA)
		out = append(out, n)
	}
	for i := range chain.callees {
		add(chain.sites[len(chain.sites)-1-i])
	}
	if chain.callees != len(chain.sites) {
		for i := range chain.callers {
			add(chain.sites[chain.callers-1-i])
		}
	}
	return out
}

// functionStart returns the link address of the entry of the function at an
// address, from DWARF or the symbols.
func (m *Module) functionStart(addr uint64) (uint64, bool) {
	if c, ok := m.functionAt(addr); ok {
		return c.fn.low, true
	}
	_, start, ok := m.Symbol(addr)
	return start, ok
}
