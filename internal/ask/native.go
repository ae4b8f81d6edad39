package ask

import (
	"errors"
	"fmt"
	"slices"

	"pyrr/internal/backtrace"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/recording"
	"pyrr/internal/stackwalk"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// native reads what names of C mean where a thread stands, by debug information.
type native struct {
	walk  backtrace.Walk
	known map[int][]replay.Module // what the walk knows of each process
}

func newNative(rec *recording.Recording) *native {
	return &native{walk: backtrace.Walk{Walk: stackwalk.New(rec)}, known: map[int][]replay.Module{}}
}

// at makes the walk know what is mapped now.
func (n *native) at(p *replay.Process) {
	mods := p.Modules()
	if have, ok := n.known[p.Info.ID]; ok && slices.EqualFunc(have, mods, func(a, b replay.Module) bool { return a.Start == b.Start && a.File == b.File }) {
		return
	}
	n.known[p.Info.ID] = slices.Clone(mods)
	n.walk.At(p)
}

// outward is in how many frames a name is looked for.
const outward = 24

// in calls f with the scopes of a thread's C frames, from the innermost outward, until
// one knows the names.
func (n *native) in(p *replay.Process, t *replay.Thread, f func(*unwind.Scope) error) error {
	n.at(p)
	err := error(unwind.ErrNoSymbol)
	for i, sc := range n.walk.Scopes(p, t, outward) {
		if e := f(sc); e == nil {
			return nil
		} else if i == 0 || errors.Is(err, unwind.ErrNoSymbol) && !errors.Is(e, unwind.ErrNoSymbol) {
			err = e
		}
	}
	return err
}

// print says what an expression of C's is worth.
func (n *native) print(p *replay.Process, t *replay.Thread, text string) (value string, err error) {
	err = n.in(p, t, func(sc *unwind.Scope) error {
		v, err := sc.Print(text, 0)
		if err == nil {
			value = v
		}
		return err
	})
	return value, err
}

// holds says whether an expression of C's is not 0.
func (n *native) holds(p *replay.Process, t *replay.Thread, text string) (is bool, err error) {
	err = n.in(p, t, func(sc *unwind.Scope) error {
		v, err := sc.Number(text)
		if err == nil {
			is = v != 0
		}
		return err
	})
	return is, err
}

// place says where the value of an expression of C's lies.
func (n *native) place(p *replay.Process, t *replay.Thread, text string) (addr uint64, size int64, err error) {
	err = n.in(p, t, func(sc *unwind.Scope) error {
		a, s, err := sc.Lvalue(text)
		if err == nil {
			addr, size = a, s
		}
		return err
	})
	if err == nil && (size < 1 || size > 8 || size&(size-1) != 0) {
		err = fmt.Errorf("%s has %d bytes; what is followed has 1, 2, 4 or 8, as a member or an item has", text, size)
	}
	return addr, size, err
}

// args are the arguments of the function that a thread is in.
func (n *native) args(p *replay.Process, t *replay.Thread) []Value {
	n.at(p)
	var out []Value
	for _, a := range n.walk.Args(p, t) {
		out = append(out, Value{Expr: a.Name, Text: a.Value})
	}
	return out
}

// onlyC are marks of expressions that Python does not have.
var onlyC = lazyregexp.New(`->|^[*&!(]|[-+*/%<>=,([]\s*[*&]|\$|&&|\|\|`)

// mayBeC says whether a text that is none of Python's expressions may be one of C's.
func mayBeC(text string) bool { return onlyC().MatchString(text) && unwind.MayBeC(text) }
