package unwind

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/mem"
	"pyrr/internal/stack"
)

// Describe says what a frame is by symbols alone: function, module, offset.
func (f *Frame) Describe() stack.Frame {
	out := stack.Frame{Kind: stack.C, Err: f.Err}
	if f.Module == nil {
		out.Offset = f.PC
		return out
	}
	out.Module, out.Offset = f.Module.Name, f.PC-f.Module.Bias
	if name, _, ok := f.Module.Symbol(f.callPC() - f.Module.Bias); ok {
		out.Func = PlainName(name)
	}
	return out
}

// PlainName takes off what compilers add to the name of a function that they
// have copied or split: .lto_priv.0, .constprop.1, .isra.0, .part.2, .cold.
func PlainName(name string) string {
	i := strings.IndexByte(name, '.')
	if i <= 0 {
		return name
	}
	for _, add := range []string{".lto_priv", ".constprop", ".isra", ".part", ".cold", ".localalias", ".llvm"} {
		if strings.HasPrefix(name[i:], add) {
			return name[:i]
		}
	}
	return name
}

// Described is what a frame is in the source.
type Described struct {
	stack.Frame
	// Index is the frame's index in the walk. Functions that the compiler has
	// inlined share one.
	Index int
	// PC is the address of the next instruction.
	PC uint64
	// Inlined is set for a function that was inlined into the next one.
	Inlined bool
	// Tail is set for a function that has left the stack: its last act was to
	// jump to the one before.
	Tail bool
	// Debug is set where DWARF describes the function; then Args are its
	// arguments.
	Debug bool
	Args  []Arg
	// Signal marks the frame that the kernel made to run a signal's handler.
	Signal bool
}

// Arg is an argument of a function, or its value when the function was called
// (Name ends in @entry). Where both are known and equal, Name is
// "name=name@entry", as gdb prints it.
type Arg struct {
	Name, Value string
	// Passed is set where the value is what the caller passed, as its call site
	// has it, since the function itself no longer has it.
	Passed bool
}

// ArgText joins arguments: fd=3, len=16.
func ArgText(args []Arg) string {
	parts := make([]string, len(args))
	for i, a := range args {
		parts[i] = a.Name + "=" + a.Value
	}
	return strings.Join(parts, ", ")
}

// Explain describes the frames of a walk with all that DWARF has: inlined
// functions, source lines, arguments with their values. It opens debug files,
// which takes a while the first time.
func (s *Modules) Explain(m mem.Reader, frames []Frame) []Described {
	dwarfMu.Lock()
	defer dwarfMu.Unlock()
	frames, tails := s.withTailCalls(frames)
	var out []Described
	for i := range frames {
		var ds []Described
		err := guard(func() error {
			ds = s.explain(m, frames[i:])
			return nil
		})
		if err != nil || len(ds) == 0 {
			ds = []Described{{Frame: frames[i].Describe(), Signal: frames[i].Signal}}
		}
		if tails[i].tail {
			// Of a function with others inlined gdb shows the one that jumped.
			ds = ds[:1]
			ds[0].Inlined = false
		}
		for j := range ds {
			ds[j].Index, ds[j].PC, ds[j].Tail = tails[i].index, frames[i].PC, tails[i].tail
		}
		ds[len(ds)-1].Err = frames[i].Err
		out = append(out, ds...)
	}
	return out
}

// explain describes the first of frames, inlined functions first.
func (s *Modules) explain(m mem.Reader, frames []Frame) []Described {
	f := &frames[0]
	if f.Module == nil || f.Signal {
		return nil
	}
	d := f.Module.dwarfOf()
	if d == nil {
		return nil
	}
	pc := f.callPC() - f.Module.Bias
	fn := d.functionAt(pc)
	if fn == nil {
		return lineOnly(f, d, pc)
	}
	p := &place{space: s, m: m, frames: frames, d: d, fn: fn, steps: new(int)}
	file, line := d.line(fn.u, pc)
	chain := fn.chain(pc)
	if !f.Return {
		// Nothing of an inlined function has run at its first instruction, so
		// gdb does not show it yet.
		for len(chain) > 1 && !covers(chain[0].ranges, pc-1) {
			file, line = d.file(fn.u, chain[0].callFile), int(chain[0].callLine)
			chain = chain[1:]
		}
	}
	out := make([]Described, 0, len(chain))
	for i, sc := range chain {
		e := Described{Frame: f.Describe(), Inlined: i < len(chain)-1, Debug: true}
		if name := d.name(sc.entry); name != "" {
			e.Func = PlainName(name)
		}
		e.File, e.Line = file, line
		e.Err = ""
		e.Args = s.args(p, sc)
		out = append(out, e)
		if sc.inlined {
			file, line = d.file(fn.u, sc.callFile), int(sc.callLine)
		}
	}
	return out
}

// lineOnly describes a frame of code that has source lines, but of which the
// compiler describes no function.
func lineOnly(f *Frame, d *dwarfData, pc uint64) []Described {
	for _, u := range d.unitsAt(pc) {
		if file, line := d.line(u, pc); line != 0 {
			e := Described{Frame: f.Describe(), Debug: true}
			e.File, e.Line, e.Err = file, line, ""
			return []Described{e}
		}
	}
	return nil
}

// args prints the arguments of a function or of one inlined into it.
func (s *Modules) args(p *place, sc *scope) []Arg {
	params := s.params(p, sc)
	// A copy of a function may have a parameter twice: where it is in this
	// copy, and that it is gone. As in gdb the last one counts for both.
	last := map[string]*dwarf.Entry{}
	for _, e := range params {
		last[p.d.name(e)] = e
	}
	var out []Arg
	for _, e := range params {
		out = append(out, s.arg(p, sc, last[p.d.name(e)])...)
	}
	return out
}

// params lists the parameters of a function or of one inlined into it.
func (s *Modules) params(p *place, sc *scope) []*dwarf.Entry {
	out := slices.Clone(sc.params)
	seen := map[dwarf.Offset]bool{}
	for _, e := range sc.params {
		if off, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok {
			seen[off] = true
		}
	}
	// What the compiler has dropped from this copy is in the abstract one.
	off, ok := sc.entry.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
	if !ok {
		return out
	}
	r := p.d.d.Reader()
	r.Seek(off)
	if e, err := r.Next(); err != nil || e == nil || !e.Children {
		return out
	}
	for last := off; len(out) < 256; {
		e, err := r.Next()
		if err != nil || e == nil || e.Tag == 0 || e.Offset <= last {
			break
		}
		last = e.Offset
		if e.Tag == dwarf.TagFormalParameter && !seen[e.Offset] {
			out = append(out, e)
		}
		r.SkipChildren()
	}
	return out
}

// arg prints an argument and, where the caller tells it, what it was at the
// call.
func (s *Modules) arg(p *place, sc *scope, e *dwarf.Entry) []Arg {
	name := p.d.name(e)
	if name == "" {
		return nil
	}
	t := p.d.typeOf(e)
	now, raw, err := s.value(p, e, t)
	if sc.inlined && sc != p.fn.tree && e.AttrField(dwarf.AttrLocation) == nil && e.Val(dwarf.AttrConstValue) == nil {
		return []Arg{{name, now, p.passedOn}}
	}
	fromCaller := p.passedOn
	entry, ok := s.atEntry(p, e)
	switch {
	case !ok || t.kind == kindAggregate && (t.size > 8 || err != nil && !errors.Is(err, errPieces) && !errors.Is(err, errOptimizedOut)):
		return []Arg{{name, now, fromCaller}}
	case err == nil && t.narrow(raw) == t.narrow(entry):
		return []Arg{{name + "=" + name + "@entry", now, fromCaller}}
	}
	return []Arg{{name, now, fromCaller}, {name + "@entry", formatValue(s, p.m, t, entry), true}}
}

// value prints a variable; raw are its bytes.
func (s *Modules) value(p *place, e *dwarf.Entry, t *ctype) (text string, raw uint64, err error) {
	if c := p.d.attr(e, dwarf.AttrConstValue); c != nil && e.AttrField(dwarf.AttrLocation) == nil {
		if v, ok := c.(int64); ok {
			return formatValue(s, p.m, t, uint64(v)), uint64(v), nil
		}
	}
	p.passedOn = false
	pc := p.frame().callPC() - p.bias()
	expr, err := p.d.locationOf(p.fn.u, e, pc)
	if err == nil {
		var loc location
		if loc, err = p.locate(expr); err == nil {
			switch {
			case loc.kind == isSynthetic:
				return synthetic, 0, errOptimizedOut
			case t.kind == kindAggregate && t.size > 8:
				return "...", 0, nil
			}
			if raw, err = readValue(p.m, loc, t.size); err == nil {
				return formatValue(s, p.m, t, raw), raw, nil
			}
			return fmt.Sprintf("<error: Cannot access memory at address %#x>", loc.addr), 0, err
		}
	}
	if t.kind == kindAggregate {
		return "...", 0, err
	}
	if memErr, ok := errors.AsType[*mem.Error](err); ok {
		return fmt.Sprintf("<error: Cannot access memory at address %#x>", memErr.Addr), 0, err
	}
	if errors.Is(err, errUnread) {
		return "<unavailable>", 0, err
	}
	return optimizedOut, 0, err
}

// atEntry finds what an argument was when its function was called.
func (s *Modules) atEntry(p *place, e *dwarf.Entry) (uint64, bool) {
	expr, err := p.d.locationOf(p.fn.u, e, p.fn.low)
	if err != nil || len(expr) == 0 {
		return 0, false
	}
	if _, ok := singleRegister(expr); !ok && expr[0] != opFbreg {
		return 0, false
	}
	v, err := p.entryValue(expr)
	return v, err == nil
}
