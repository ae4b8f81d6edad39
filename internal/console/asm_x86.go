package console

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/arch/x86/x86asm"

	"pyrr/internal/mem"
	"pyrr/internal/printable"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// maxCode bounds the bytes that are disassembled for one command, maxInsn is the
// longest instruction (Intel SDM volume 2, 2.3.11).
const (
	maxCode = 1 << 16
	maxInsn = 15
)

// space calls f with what is mapped in the process.
func (c *Console) modules(f func(m mem.Reader, s *unwind.Modules)) error {
	return c.x.With(func(p *replay.Process, _ *replay.Thread) error {
		c.w.At(p)
		f(p.Mem(), c.w.Procs[p.Info.ID].Code.Modules)
		return nil
	})
}

// instructions prints machine code from an address on: up to an end or, where n is
// not 0, so many instructions.
func (c *Console) instructions(from, end uint64, n int, raw bool) error {
	pc, _ := c.register("pc")
	var b strings.Builder
	var failed error
	err := c.modules(func(m mem.Reader, s *unwind.Modules) {
		name := func(addr uint64) (string, uint64) {
			if y, ok := s.SymbolAt(addr); ok && y.Name != "" {
				return y.Name, y.Start
			}
			return "", 0
		}
		for i := 0; (n == 0 && from < end || i < n) && b.Len() < 1<<20; i++ {
			var code [maxInsn]byte
			have := maxInsn
			for have > 0 && m.ReadAt(code[:have], from) != nil {
				have--
			}
			if have == 0 {
				failed = fmt.Errorf("cannot access memory at address %#x", from)
				return
			}
			text, size := "(bad)", 1
			if inst, err := x86asm.Decode(code[:have], 64); err == nil {
				text, size = plainAsm(x86asm.GNUSyntax(inst, from, name)), inst.Len
			}
			mark := "   "
			if from == pc {
				mark = "=> "
			}
			where := ""
			if fn, start := name(from); fn != "" {
				where = fmt.Sprintf(" <%s+%d>", fn, from-start)
			}
			fmt.Fprintf(&b, "%s%#x%s:\t", mark, from, printable.Line(where))
			if raw {
				fmt.Fprintf(&b, "% x\t", code[:size])
			}
			b.WriteString(printable.Line(text) + "\n")
			from += uint64(size)
		}
	})
	fmt.Fprint(c.out, b.String())
	if err == nil {
		err = failed
	}
	return err
}

// asmWords are mnemonics that gdb writes otherwise than Go's disassembler.
var asmWords = map[string]string{"callq": "call", "jmpq": "jmp", "retq": "ret", "movsxd": "movslq", "cdqe": "cltq", "cqo": "cqto", "cdq": "cltd", "pushq": "push", "popq": "pop", "leaveq": "leave"}

// plainAsm writes an instruction as gdb does. A base of r12 or rsp takes an index that
// is none, which only the machine code has.
func plainAsm(text string) string {
	word, rest, _ := strings.Cut(text, " ")
	if w, ok := asmWords[word]; ok {
		word = w
	}
	return strings.TrimSpace(word + " " + strings.ReplaceAll(rest, ",%riz)", ")"))
}

// disassemble prints a function's machine code, or a range of it.
func (c *Console) disassemble(args string) error {
	format, args := slashFormat(args)
	raw := strings.Contains(format, "r")
	if from, to, ok := strings.Cut(args, ","); ok {
		lo, err := c.number(from)
		if err != nil {
			return err
		}
		to = strings.TrimSpace(to)
		hi := uint64(0)
		if n, plus := strings.CutPrefix(to, "+"); plus {
			if hi, err = c.number(n); err == nil {
				hi += lo
			}
		} else {
			hi, err = c.number(to)
		}
		if err != nil {
			return err
		}
		if hi < lo || hi-lo > maxCode {
			return fmt.Errorf("a range of %d bytes: up to %d are disassembled", int64(hi-lo), maxCode)
		}
		return c.instructions(lo, hi, 0, raw)
	}
	addr, ok := uint64(0), false
	if args == "" {
		sel, err := c.selected()
		if err != nil {
			return err
		}
		if sel != nil && sel.PC != 0 {
			addr, ok = sel.PC, true
		} else {
			addr, ok = c.register("pc")
		}
	}
	if !ok {
		var err error
		if addr, err = c.number(args); err != nil {
			return err
		}
	}
	var y unwind.Symbol
	if err := c.modules(func(_ mem.Reader, s *unwind.Modules) { y, ok = s.SymbolAt(addr) }); err != nil {
		return err
	}
	if !ok || y.Start == 0 || y.End <= y.Start {
		return errors.New("no function contains specified address; disassemble START,+LENGTH takes a range")
	}
	name := y.Name
	if name == "" {
		name = "??"
	}
	fmt.Fprintf(c.out, "Dump of assembler code for function %s:\n", printable.Line(name))
	if err := c.instructions(y.Start, min(y.End, y.Start+maxCode), 0, raw); err != nil {
		return err
	}
	fmt.Fprintln(c.out, "End of assembler dump.")
	return nil
}

// infoSymbol says what lies at an address.
func (c *Console) infoSymbol(args string) error {
	addr, err := c.number(args)
	if err != nil {
		return err
	}
	var y unwind.Symbol
	found := false
	if err := c.modules(func(_ mem.Reader, s *unwind.Modules) { y, found = s.SymbolAt(addr) }); err != nil {
		return err
	}
	if !found || y.Name == "" {
		if found {
			return fmt.Errorf("no symbol matches %s; it is in %s", args, y.Module.Name)
		}
		return fmt.Errorf("no symbol matches %s", args)
	}
	text := y.Name
	if off := addr - y.Start; off != 0 {
		text += fmt.Sprintf(" + %d", off)
	}
	if y.Section != "" {
		text += " in section " + y.Section
	}
	fmt.Fprintf(c.out, "%s of %s\n", printable.Line(text), printable.Line(y.Module.Name))
	return nil
}

// infoLine says which source line an address has, or the selected frame.
func (c *Console) infoLine(args string) error {
	sel, err := c.selected()
	if err != nil {
		return err
	}
	addr := uint64(0)
	switch {
	case args == "" && sel == nil:
		return errors.New("nothing is known of the stack here")
	case args == "" && sel.Python != nil:
		fmt.Fprintf(c.out, "Line %d of \"%s\" is in %s.\n", sel.Line, printable.Line(sel.File), printable.Line(sel.Func))
		return nil
	case args == "":
		if addr = sel.PC; c.frame > 0 {
			addr-- // the call, not where it returns to
		}
	default:
		if m := fileLine().FindStringSubmatch(args); m != nil {
			n, _ := strconv.Atoi(m[2])
			if files := c.sourcesOf(m[1]); len(files) > 0 {
				text, ok := c.sourceLine(files[0], n)
				if !ok {
					return fmt.Errorf("%s had %d lines when it ran", files[0], len(c.sourceText(files[0])))
				}
				fmt.Fprintf(c.out, "Line %d of \"%s\" is: %s\n", n, printable.Line(files[0]), printable.Line(strings.TrimSpace(text)))
				return nil
			}
			p, ok := c.lineOfC(m[1], n)
			if !ok {
				return fmt.Errorf("no file %s is among those of Python that ran, and no debug information of C is at hand for it", m[1])
			}
			if addr, ok = c.loaded(p.code); !ok {
				return fmt.Errorf("the library of %s is not loaded here", m[1])
			}
		} else if addr, err = c.number(strings.TrimPrefix(args, "*")); err != nil {
			return err
		}
	}
	var file string
	var line int
	var start, end uint64
	var from, to string
	err = c.modules(func(_ mem.Reader, s *unwind.Modules) {
		file, line, start, end = s.LineAt(addr)
		at := func(a uint64) string {
			if y, ok := s.SymbolAt(a); ok && y.Name != "" {
				return fmt.Sprintf("%#x <%s+%d>", a, y.Name, a-y.Start)
			}
			return fmt.Sprintf("%#x", a)
		}
		from, to = at(start), at(end)
	})
	if err != nil {
		return err
	}
	if line == 0 {
		return fmt.Errorf("no line number information available for address %#x", addr)
	}
	fmt.Fprintf(c.out, "Line %d of \"%s\" starts at address %s and ends at %s.\n", line, printable.Line(file), printable.Line(from), printable.Line(to))
	return nil
}

// infoLibraries lists the files that are mapped with code.
func (c *Console) infoLibraries(args string) error {
	rows := [][]string{{"From", "To", "Syms Read", "Shared Object Library"}}
	err := c.modules(func(_ mem.Reader, s *unwind.Modules) {
		for _, m := range s.List() {
			if args != "" && !strings.Contains(m.Name, args) {
				continue
			}
			syms := "Yes (*)"
			if m.HasDebugInfo() {
				syms = "Yes"
			}
			rows = append(rows, []string{fmt.Sprintf("0x%016x", m.Start), fmt.Sprintf("0x%016x", m.End), syms, printable.Line(m.Name)})
		}
	})
	if err != nil {
		return err
	}
	if len(rows) == 1 {
		fmt.Fprintln(c.out, "No shared libraries loaded at this time.")
		return nil
	}
	printable.Table(c.out, nil, rows)
	fmt.Fprintln(c.out, "(*): Shared library is missing debugging information.")
	return nil
}

// infoRegisters prints all registers, or those that are named.
func (c *Console) infoRegisters(args string) error {
	names := strings.Fields(args)
	if len(names) == 0 {
		names = registerNames
	}
	for _, n := range names {
		n = strings.TrimPrefix(n, "$")
		v, ok := c.register(n)
		if !ok {
			return fmt.Errorf("invalid register `%s'", n)
		}
		fmt.Fprintf(c.out, "%-15s%-19s%s\n", n, fmt.Sprintf("%#x", v), strconv.FormatInt(int64(v), 10))
	}
	return nil
}
