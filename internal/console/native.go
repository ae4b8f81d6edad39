package console

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"pyrr/internal/backtrace"
	"pyrr/internal/mem"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// above is the condition that a function has returned: the stack is no longer
// as deep as within it.
type above struct{ sp uint64 }

// Holds implements replay.Condition.
func (a above) Holds(h *replay.Hit) bool {
	regs := h.Thread.Regs()
	return regs.SP() > a.sp
}

// returns runs to an address of the current thread's, where its stack is
// above sp.
func (c *Console) returns(addr, sp uint64) (*replay.Stop, error) {
	c.breaks = append(c.breaks, &consoleBreak{hidden: true, b: &replay.Break{Kind: replay.BreakAddr, Addr: addr, Thread: c.tid, Cond: above{sp}}})
	c.install()
	defer func() {
		c.breaks = c.breaks[:len(c.breaks)-1]
		c.install()
	}()
	return c.run(c.x.Continue, false)
}

// finishC runs until the innermost C function has returned.
func (c *Console) finishC(string) error {
	frames, err := c.allFrames(c.tid, backtrace.Want{})
	if err != nil {
		return err
	}
	var pcs []uint64
	for i := range frames {
		if f := &frames[i]; f.Kind != stack.Python && !f.SharesPhysical && !f.Tail {
			pcs = append(pcs, f.PC)
		}
	}
	sp, ok := c.register("sp")
	if len(pcs) < 2 || !ok {
		return errors.New("nothing is known of what called this function; try stepi, or until *ADDRESS")
	}
	st, err := c.returns(pcs[1], sp)
	if err == nil && st.Kind == replay.StopBreak && !slices.ContainsFunc(c.breaks, func(k *consoleBreak) bool { return k.b != nil && slices.Contains(st.Hit.Breaks, k.b) }) {
		st.Kind = replay.StopStep
	}
	return c.moved(st, err)
}

// nextInstr executes machine instructions, with the functions that they call.
func (c *Console) nextInstr(args string) error {
	return c.repeat(args, func(x *replay.Session) (*replay.Stop, error) {
		pc, _ := c.register("pc")
		sp, _ := c.register("sp")
		st, err := x.StepInstr()
		if err != nil || st.Kind != replay.StopStep || st.TID != c.tid {
			return st, err
		}
		// A call leaves where to go on behind it on the stack.
		const longestCall = 9
		now, _ := c.register("sp")
		back, err := mem.U64(x.Memory(), now)
		if err != nil || now != sp-8 || back <= pc || back > pc+longestCall {
			return st, nil
		}
		if st, err = c.returns(back, now); err == nil && st.Kind == replay.StopBreak && len(st.Hit.Breaks) == 1 && st.Hit.Breaks[0].Addr == back {
			st.Kind = replay.StopStep
		}
		return st, err
	})
}

// nativeSource returns the source of a C function, which a recording does not
// hold, from this machine.
func nativeSource(f *backtrace.Frame) ([]string, error) {
	if f.File == "" {
		return nil, fmt.Errorf("nothing is known of the source of %s: debug information of %s would tell; up selects the Python code", f.Func, cmpOr(f.Module, "its module"))
	}
	text, err := readNative(f.File)
	if err != nil {
		return nil, fmt.Errorf("the source of %s is %s:%d, %w; up selects the Python code", f.Func, f.File, f.Line, err)
	}
	return text, nil
}

// readNative reads a source file of C's from this machine.
func readNative(file string) ([]string, error) {
	const most = 16 << 20
	if st, err := os.Stat(file); err != nil || !st.Mode().IsRegular() || st.Size() > most {
		return nil, errors.New("which is not on this machine")
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("which can't be read: %w", err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n"), nil
}

func (c *Console) keepNative(file string, text []string) {
	if c.native == nil {
		c.native = map[string][]string{}
	}
	c.native[file] = text
}

// selectedNative returns the selected frame where it is C's and its source can
// be listed, else what to say of that; neither where it is Python's.
func (c *Console) selectedNative() (*backtrace.Frame, string) {
	frames, err := c.Frames(c.tid)
	if err != nil || c.frame >= len(frames) || frames[c.frame].Kind == stack.Python {
		return nil, ""
	}
	f := &frames[c.frame]
	text, err := nativeSource(f)
	if err != nil {
		return nil, err.Error()
	}
	c.keepNative(f.File, text)
	return f, ""
}
