package facts

import (
	"fmt"
	"slices"

	"pyrr/assert"
	"pyrr/cpython"
	"pyrr/internal/pystate"
	"pyrr/replay"
)

// conditions are the where clauses of patterns, for an execution to judge.
type conditions struct {
	want   []*assert.EventPattern
	exprs  map[string]*cpython.Expr
	left   map[string]*cpython.Expr     // what is compared, to be shown
	failed map[*assert.EventPattern]int // events that failed a pattern's condition
}

// maxFailed is how many events are kept that fail a pattern's condition: the
// first few tell what the value was instead.
const maxFailed = 20

func conditionsOf(want []*assert.EventPattern) (*conditions, error) {
	c := &conditions{want: want, exprs: map[string]*cpython.Expr{}, left: map[string]*cpython.Expr{}, failed: map[*assert.EventPattern]int{}}
	for _, p := range want {
		for _, text := range p.Where {
			e, err := cpython.ParseExpr(text)
			if err != nil {
				return nil, fmt.Errorf("where %s: %w", text, err)
			}
			c.exprs[text] = e
			if left, ok := assert.Compared(text); ok {
				if e, err := cpython.ParseExpr(left); err == nil {
					c.left[text] = e
				}
			}
		}
	}
	return c, nil
}

// judge evaluates the conditions that patterns have for a hit, in the frame that
// it is about.
func (c *conditions) judge(h *replay.Hit, ev *assert.Event) {
	if len(c.exprs) == 0 {
		return
	}
	var rt *cpython.Runtime
	var frame cpython.Frame
	for _, p := range c.want {
		if len(p.Where) == 0 || !p.Executed(ev, h.Process.Info.Python) {
			continue
		}
		if rt == nil {
			var ok bool
			if rt, frame, ok = hitFrame(h); !ok {
				return
			}
			ev.Where = map[string]assert.Condition{}
		}
		for _, text := range p.Where {
			if _, ok := ev.Where[text]; ok {
				continue
			}
			got := assert.Condition{}
			if v, err := rt.Eval(h.Process.Mem(), frame, c.exprs[text]); err != nil {
				got.Err = err.Error()
			} else {
				got.Holds = v.True
			}
			if left := c.left[text]; left != nil && !got.Holds && got.Err == "" {
				if v, err := rt.Eval(h.Process.Mem(), frame, left); err == nil {
					got.Got = v.Text
				}
			}
			ev.Where[text] = got
		}
	}
}

// wants says whether a pattern selects an event that an execution showed. One whose
// condition fails is wanted only if it is among the first few: a condition is there
// to choose among many.
func (c *conditions) wants(ev *assert.Event, python string) bool {
	wanted, spare := false, false
	for _, p := range c.want {
		if !p.Executed(ev, python) {
			continue
		}
		fails := slices.ContainsFunc(p.Where, func(text string) bool {
			got, ok := ev.Where[text]
			return ok && !got.Holds && got.Err == ""
		})
		if fails {
			c.failed[p]++
			spare = spare || c.failed[p] <= maxFailed
		}
		wanted = wanted || !fails
	}
	return wanted || spare
}

// hitFrame is the Python frame that a stop at a breakpoint is in.
func hitFrame(h *replay.Hit) (*cpython.Runtime, cpython.Frame, bool) {
	rt, err := h.Process.Runtime()
	if err != nil {
		return nil, cpython.Frame{}, false
	}
	pt, err := h.Process.PyThread(h.Thread)
	if err != nil {
		return nil, cpython.Frame{}, false
	}
	frames, err := rt.Frames(h.Process.Mem(), pt, cpython.Options{Limit: 1, NextInstr: h.NextInstr})
	if err != nil || len(frames) == 0 {
		return nil, cpython.Frame{}, false
	}
	return rt, frames[0], true
}

// returnedValue is what the function at hand returns, "" where it can't be read.
func returnedValue(h *replay.Hit) string {
	rt, f, ok := hitFrame(h)
	if !ok || h.Code == nil {
		return ""
	}
	v, err := rt.Returned(h.Process.Mem(), f, h.Code, h.Offset)
	if err != nil {
		return ""
	}
	return v.Text
}

// raisedMessage is what str() gives of the exception that is being raised.
func raisedMessage(h *replay.Hit) string {
	rt, err := h.Process.Runtime()
	if err != nil {
		return ""
	}
	if h.Exception.Addr == 0 {
		return ""
	}
	return pystate.Message(rt, h.Process.Mem(), h.Exception.Addr)
}
