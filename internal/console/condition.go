package console

import (
	"fmt"

	"pyrr/cpython"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// condition decides about stops: an expression of Python's in the function that the
// breakpoint is in; where it stops in C, or Python has no such names, one of C's.
type condition struct {
	c      *Console
	text   string
	python *cpython.Expr // nil where it is none
}

// parseCondition reads the condition of a breakpoint. What is not an expression of Python's
// may be one of C's, whose names are known only where it stops.
func (c *Console) parseCondition(text string) (*condition, error) {
	k := &condition{c: c, text: text}
	var err error
	if k.python, err = cpython.ParseExpr(text); err != nil && !unwind.MayBeC(text) {
		return nil, fmt.Errorf("a condition is an expression, as in x == 3 or self.name == 'a': %w", err)
	}
	return k, nil
}

// Holds implements replay.Condition.
func (k *condition) Holds(h *replay.Hit) bool {
	native := len(h.Breaks) > 0 && h.Breaks[0].Kind >= replay.BreakSymbol && h.Breaks[0].Kind <= replay.BreakAddr
	if native || h.Code == nil {
		if is, ok := k.inC(h); ok {
			return is
		}
	}
	if is, ok := k.inPython(h); ok {
		return is
	}
	is, ok := k.inC(h)
	return ok && is
}

func (k *condition) inPython(h *replay.Hit) (is, ok bool) {
	if k.python == nil {
		return false, false
	}
	rt, err := h.Process.Runtime()
	if err != nil {
		return false, false
	}
	pt, err := h.Process.PyThread(h.Thread)
	if err != nil {
		return false, false
	}
	frames, err := rt.Frames(h.Process.Mem(), pt, cpython.Options{Limit: 1, NextInstr: h.NextInstr})
	if err != nil || len(frames) == 0 {
		return false, false
	}
	res, err := rt.Eval(h.Process.Mem(), frames[0], k.python)
	return err == nil && res.True, err == nil
}

func (k *condition) inC(h *replay.Hit) (is, ok bool) {
	if !unwind.MayBeC(k.text) {
		return false, false
	}
	k.c.w.At(h.Process)
	n, err := k.c.w.Scope(h.Process, h.Thread, nil).Number(k.text)
	return err == nil && n != 0, err == nil
}
