package ask

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pyrr/internal/unwind"
	"pyrr/replay"
)

// findInC looks for an expression of C's in the frames of the thread that runs next, or
// of the one that was asked for.
func findInC(x *replay.Session, text string, o *LastOptions, c *native) (*watched, error) {
	w := &watched{mem: &replay.Watch{}, text: text, c: c}
	err := x.With(func(p *replay.Process, cur *replay.Thread) error {
		err := error(unwind.ErrNoSymbol)
		for _, t := range inOrder(p, cur) {
			if o.Thread != "" {
				pt, terr := p.PyThread(t)
				if !isThread(o.Thread, t.TID, pt.Name) || terr != nil && pt.Name != "" {
					continue
				}
			}
			addr, size, cerr := c.place(p, t, text)
			if cerr == nil {
				w.mem.Addr, w.mem.Len, w.tid = addr, int(size), t.TID
				return nil
			}
			if errors.Is(err, unwind.ErrNoSymbol) {
				err = cerr
			}
		}
		return err
	})
	if err == nil {
		if err = x.SetWatches([]replay.Watch{*w.mem}); err != nil {
			err = &UsageError{err}
		}
	}
	return w, err
}

// findMemory reads ADDRESS or SYMBOL, and a length.
func findMemory(x *replay.Session, text string) (*watched, error) {
	where, length, _ := strings.Cut(strings.TrimSpace(text), " ")
	n := 8
	if length = strings.TrimSpace(length); length != "" {
		v, err := strconv.Atoi(length)
		if err != nil {
			return nil, &UsageError{fmt.Errorf("not a length: %q", length)}
		}
		n = v
	}
	addr, err := strconv.ParseUint(where, 0, 64)
	if err != nil {
		_ = x.With(func(p *replay.Process, _ *replay.Thread) error {
			if as := p.Symbol(where); len(as) > 0 {
				addr = as[0]
			}
			return nil
		})
		if addr == 0 {
			return nil, &UsageError{fmt.Errorf("neither an address nor a C symbol: %q", where)}
		}
	}
	w := &watched{mem: &replay.Watch{Addr: addr, Len: n}}
	if err := x.SetWatches([]replay.Watch{*w.mem}); err != nil {
		return nil, &UsageError{err}
	}
	return w, nil
}

// inC is how C shows a value: by its type, where the expression means the same memory
// at this place.
func (w *watched) inC(x *replay.Session, v uint64) string {
	out := fmt.Sprintf("%#x", v)
	if w.text == "" {
		return out
	}
	_ = x.With(func(p *replay.Process, cur *replay.Thread) error {
		for _, t := range inOrder(p, cur) {
			if addr, _, err := w.c.place(p, t, w.text); err == nil && addr == w.mem.Addr {
				if text, err := w.c.print(p, t, w.text); err == nil {
					out = text
				}
				return nil
			}
		}
		return nil
	})
	return out
}
