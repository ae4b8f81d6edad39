package replay

import (
	"errors"
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
	unix "pyrr/internal/sys"
)

// sync brings what is written into the process in line with the breakpoints,
// the modules and the code objects that there are. t is the thread that runs
// next.
func (p *Process) sync(t *Thread) error {
	b := &p.s.breaks
	if p.gen == b.gen && (!p.unsynced && !p.stale || b.quiet && len(b.temp) == 0) {
		return nil
	}
	if len(b.list) == 0 && len(b.temp) == 0 && len(p.patches) == 0 && !p.s.counting() {
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

// syncNative puts a breakpoint where a C breakpoint is, and takes it away where
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
		if b.Code != nil {
			for _, a := range p.Places(*b.Code) {
				want[a] = append(want[a], b)
			}
		}
		switch b.Kind {
		case BreakAddr:
			want[b.Addr] = append(want[b.Addr], b)
		case BreakSymbol:
			for _, a := range p.Symbol(b.Name) {
				want[a] = append(want[a], b)
			}
		case BreakRaise:
			for _, a := range p.raiseSites() {
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
	var maps []linux.Mapping
	for a := range want {
		if _, ok := p.patches.find(a); ok {
			continue
		}
		// What lies at an address before its library is loaded, or after, may be data.
		if maps == nil {
			var err error
			if maps, err = linux.ReadMaps(p.pid); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(maps, func(m linux.Mapping) bool {
			return a >= m.Start && a < m.End && m.Prot&unix.PROT_EXEC != 0
		}) {
			continue
		}
		var unmapped *mem.Error
		if err := p.put(a, linux.Breakpoint); err != nil && !errors.As(err, &unmapped) {
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
			// One that is still being mapped may get it: its tables can't
			// be read as yet.
			if err == nil || mod.age >= youth || errors.Is(err, errNoSymbol) {
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

// Places returns where instructions of files are mapped in the process.
func (p *Process) Places(code []CodeAt) []uint64 {
	var found []uint64
	for i := range p.modules {
		for _, c := range code {
			if c.File != p.modules[i].File {
				continue
			}
			// A file whose segments share a page has that page mapped twice.
			_, bias, ok := p.moduleFile(p.modules[i])
			if a := bias + c.Addr; ok && !slices.Contains(found, a) {
				found = append(found, a)
			}
		}
	}
	return found
}

// youth is for how many changes of the address space a module may still be
// in the making.
const youth = 24

// spaceChanged looks for symbols that were not there before, and for code where there
// was none.
func (p *Process) spaceChanged() {
	if slices.ContainsFunc(p.s.breaks.list, func(b *Break) bool {
		_, put := p.patches.find(b.Addr)
		return b.Kind == BreakAddr && !put
	}) {
		p.unsynced = true
	}
	p.unsynced = p.unsynced || p.unsure
	if !p.young() {
		return
	}
	p.modules = slices.Clone(p.modules)
	for i := range p.modules {
		p.modules[i].age++
	}
	if slices.ContainsFunc(p.s.breaks.list, func(b *Break) bool { return b.Kind >= BreakRaise && b.Kind <= BreakAddr || b.Code != nil }) {
		p.unsynced = true
	}
}
