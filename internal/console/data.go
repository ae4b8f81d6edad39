package console

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/mem"
	"pyrr/internal/printable"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// examine prints memory as gdb's x does.
func (c *Console) examine(args string) error {
	n, format, unit := 1, byte('x'), byte('g')
	if f, rest, ok := strings.Cut(strings.TrimPrefix(args, "/"), " "); ok && strings.HasPrefix(args, "/") {
		args = rest
		digits := strings.TrimRight(f, "abcdefghijklmnopqrstuvwxyz")
		if digits != "" {
			v, err := strconv.Atoi(digits)
			if err != nil || v < 1 || v > 4096 {
				return fmt.Errorf("x: not a number of units: %q", digits)
			}
			n = v
		}
		for _, ch := range []byte(f[len(digits):]) {
			if strings.IndexByte("bhwg", ch) >= 0 {
				unit = ch
			} else {
				format = ch
			}
		}
	}
	if strings.TrimSpace(args) == "" {
		return errors.New("x: which memory? an address, a C symbol or a $register, as in x/4xg $rsp")
	}
	addr, err := c.number(args)
	if err != nil {
		return err
	}
	if format == 'i' {
		return c.instructions(addr, 0, n, false)
	}
	m := c.x.Memory()
	if format == 's' {
		s, _, err := mem.CString(m, addr, 4096)
		if err != nil {
			return fmt.Errorf("cannot access memory at address %#x", addr)
		}
		fmt.Fprintf(c.out, "%#x:\t%q\n", addr, s)
		return nil
	}
	size := map[byte]int{'b': 1, 'h': 2, 'w': 4, 'g': 8}[unit]
	per := 16 / size
	for i := range n {
		var b [8]byte
		at := addr + uint64(i*size)
		if err := m.ReadAt(b[:size], at); err != nil {
			return fmt.Errorf("cannot access memory at address %#x", at)
		}
		if i%per == 0 {
			fmt.Fprintf(c.out, "%#x:", at)
		}
		v := binary.LittleEndian.Uint64(b[:])
		switch format {
		case 'd':
			fmt.Fprintf(c.out, "\t%d", int64(v<<(64-8*size))>>(64-8*size))
		case 'u':
			fmt.Fprintf(c.out, "\t%d", v)
		default:
			fmt.Fprintf(c.out, "\t0x%0*x", 2*size, v)
		}
		if i%per == per-1 || i == n-1 {
			fmt.Fprintln(c.out)
		}
	}
	return nil
}

func (c *Console) watch(args string) error {
	if args == "" {
		return errors.New("watch: what? a variable, an attribute as in self.x, or *ADDRESS [LENGTH]")
	}
	if ch := args[0]; ch != '*' && ch != '$' && (ch < '0' || ch > '9') {
		err := c.watchValue(args)
		if err != nil {
			if cerr := c.watchC(args); cerr == nil {
				return nil
			} else if !errors.Is(cerr, unwind.ErrNoSymbol) {
				err = cerr
			}
		}
		return err
	}
	where, length, _ := strings.Cut(strings.TrimPrefix(args, "*"), " ")
	n := 8
	if length != "" {
		v, err := strconv.Atoi(strings.TrimSpace(length))
		if err != nil {
			return fmt.Errorf("watch: not a length: %q", length)
		}
		n = v
	}
	a, err := c.number(where)
	if err != nil {
		return err
	}
	k := &consoleBreak{n: c.nextBreak, text: fmt.Sprintf("watch %#x, %d bytes", a, n), watch: &replay.Watch{Addr: a, Len: n}, raw: &rawWatch{name: fmt.Sprintf("%#x", a)}}
	if err := c.addWatch(k); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Hardware watchpoint %d: %#x\n", k.n, a)
	return nil
}

// watchC stops when a variable of C's, or a part of one, is written to.
func (c *Console) watchC(args string) error {
	sel, err := c.selected()
	if err != nil {
		return err
	}
	var addr uint64
	var size int64
	raw := &rawWatch{name: args}
	if err := c.scope(sel, func(sc *unwind.Scope) (err error) {
		if raw.typ, err = sc.Type(args, false); err == nil {
			addr, size, err = sc.Lvalue(args)
		}
		return err
	}); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if size < 1 || size > 8 || size&(size-1) != 0 {
		return fmt.Errorf("watch: %s has %d bytes; the processor watches 1, 2, 4 or 8, as a member or an item has", args, size)
	}
	k := &consoleBreak{n: c.nextBreak, text: "watch " + args, watch: &replay.Watch{Addr: addr, Len: int(size)}, raw: raw}
	if err := c.addWatch(k); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Hardware watchpoint %d: %s, at %#x\n", k.n, printable.Line(args), addr)
	return nil
}

// lastChange goes back line by line to where a local variable got the value
// that it has.
func (c *Console) lastChange(args string) error {
	if args == "" {
		return errors.New("last: which variable? NAME, or NAME.ATTRIBUTE")
	}
	value := func() (string, uint64, bool) {
		var text string
		var frame uint64
		ok := false
		c.x.With(func(p *replay.Process, cur *replay.Thread) error {
			rt, err := p.Runtime()
			if err != nil || cur == nil {
				return err
			}
			pt, err := p.PyThread(cur)
			if err != nil {
				return err
			}
			frames, _ := rt.Frames(p.Mem(), pt, cpython.Options{Limit: 1, NextInstr: p.NextInstr(cur)})
			if len(frames) == 0 {
				return nil
			}
			frame = frames[0].Addr
			locals, _ := rt.Locals(p.Mem(), frames[0])
			for _, v := range locals {
				if v.Name == args {
					text, ok = v.Value, true
				}
			}
			return nil
		})
		return text, frame, ok
	}
	now, frame, ok := value()
	if !ok {
		return c.lastValue(args)
	}
	for {
		st, err := c.x.ReverseNextLine()
		if err != nil {
			return err
		}
		if st.Kind != replay.StopStep {
			return c.arrived(st, false)
		}
		if v, f, ok := value(); f != frame || !ok || v != now {
			if f == frame && ok {
				fmt.Fprintf(c.out, "%s was %s before this line, %s after it\n", args, printable.Line(v), printable.Line(now))
			} else {
				fmt.Fprintf(c.out, "%s got its value %s by this line\n", args, printable.Line(now))
			}
			return c.arrived(st, false)
		}
	}
}
