package cpython

import (
	"fmt"

	"pyrr/internal/mem"
)

// Returned returns the value with which a frame is about to be left, while its
// thread stands at the instruction that does so, at the byte offset off of its
// code. Where that is RETURN_VALUE the value is all that lies on the frame's
// evaluation stack; RETURN_CONST names a constant (Python/bytecodes.c).
func (r *Runtime) Returned(m mem.Reader, f Frame, c *Code, off int) (Object, error) {
	v := newView(m)
	defer v.release()
	l := r.l
	code, _, err := r.codeRecord(v, f.Code)
	if err != nil {
		return Object{}, err
	}
	var at uint64
	if n, ok := c.constant(off); ok {
		// co_consts is the member before co_names.
		consts, err := v.u64(f.Code + uint64(l.code.names) - 8)
		if err != nil {
			return Object{}, err
		}
		i := Inspector{r: r, v: v, m: m, types: map[uint64]typeInfo{}}
		items := i.Items(consts, n+1)
		if n >= len(items) {
			return Object{}, fmt.Errorf("the code at %#x has no constant %d", f.Code, n)
		}
		return r.object(v, items[n]), nil
	}
	if l.rules.interpreterFrames {
		at = f.Addr + uint64(l.frame.localsplus) + 8*uint64(uint32(code.i32(l.code.nlocalsplus)))
	} else if at, err = v.u64(f.Addr + uint64(l.frame.valuestack)); err != nil {
		return Object{}, err
	}
	value, err := v.u64(at)
	if err != nil {
		return Object{}, err
	}
	if r.l.rules.stackrefs {
		value &^= stackrefTags
	}
	if _, err := r.typeAt(v, value); err != nil {
		return Object{}, fmt.Errorf("the returned value at %#x: %w", value, err)
	}
	return r.object(v, value), nil
}

// constant returns the number of the constant that the instruction at a byte
// offset returns; false for one that returns what lies on the stack.
func (c *Code) constant(off int) (n int, ok bool) {
	c.each(func(in instruction) {
		if (in.at == off || in.off == off) && has(c.rules.returnConst, in.op) {
			n, ok = in.arg, true
		}
	})
	return n, ok
}
