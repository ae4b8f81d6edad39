package dap

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-dap"

	"pyrr/internal/recording"
	"pyrr/replay"
)

// exceptions are the breakpoints at exceptions. "raised" stops where one is
// raised. Whether one is caught is known only later: "uncaught" runs to where
// the interpreter gives one up, and goes back to where it was raised.
type exceptions struct {
	list   []*replay.Break
	giveUp []*replay.Break // of list: where an uncaught one ends
	raise  *replay.Break   // of list: notes where exceptions are raised
	raises map[int32][]raisedPlace
	// lost are the places where one was raised that nothing caught.
	lost map[recording.Pos]bool
}

type raisedPlace struct {
	at   recording.Pos
	addr uint64
	typ  string
}

// raised is the exception that a stop is for.
type raised struct {
	typ, text string
	uncaught  bool
}

// setExceptions replaces them.
func (s *Server) setExceptions(args *dap.SetExceptionBreakpointsArguments) []dap.Breakpoint {
	k := &s.bps.exceptions
	lost := k.lost
	*k = exceptions{lost: lost, raises: map[int32][]raisedPlace{}}
	if k.lost == nil {
		k.lost = map[recording.Pos]bool{}
	}
	out := []dap.Breakpoint{}
	set := func(filter, classes string) {
		r := dap.Breakpoint{Verified: true}
		switch filter {
		case "raised":
			if strings.TrimSpace(classes) == "" {
				classes = "," // any
			}
			named := false
			for c := range strings.SplitSeq(classes, ",") {
				if c = strings.TrimSpace(c); c != "" || !named && strings.Trim(classes, ", ") == "" {
					named = true
					b := &replay.Break{Kind: replay.BreakRaise, Name: c}
					if own := s.launch.JustMyCode; own == nil || *own {
						b.Cond = outsideLibraries{}
					}
					k.list = append(k.list, b)
				}
			}
		case "uncaught":
			k.raise = &replay.Break{Kind: replay.BreakRaise, Cond: (*noteRaise)(k)}
			k.giveUp = []*replay.Break{
				// Python/pythonrun.c for the main thread; of these some are
				// part of others, depending on the compiler.
				{Kind: replay.BreakSymbol, Name: "PyErr_PrintEx", Cond: (*noteLost)(k)},
				{Kind: replay.BreakSymbol, Name: "PyErr_Print", Cond: (*noteLost)(k)},
				{Kind: replay.BreakSymbol, Name: "_PyErr_PrintEx", Cond: (*noteLost)(k)},
				{Kind: replay.BreakSymbol, Name: "_PyErr_Print", Cond: (*noteLost)(k)},
				{Kind: replay.BreakSymbol, Name: "PyErr_Display", Cond: (*noteLost)(k)},
				{Kind: replay.BreakSymbol, Name: "_PyErr_Display", Cond: (*noteLost)(k)},
				// Lib/threading.py for the others.
				{Kind: replay.BreakCall, File: "threading.py", Func: "invoke_excepthook", Cond: (*noteLost)(k)},
			}
			k.list = append(append(k.list, k.raise), k.giveUp...)
		default:
			r.Verified, r.Message = false, fmt.Sprintf("there is no filter %q", cut(filter, 40))
		}
		out = append(out, r)
	}
	for _, f := range args.Filters {
		set(f, "")
	}
	for _, f := range args.FilterOptions {
		set(f.FilterId, f.Condition)
	}
	s.x.SetBreaks(s.bps.breaks())
	return out
}

// noteRaise notes where exceptions are raised; it holds where one is that is
// known to be caught by nothing.
type noteRaise exceptions

// maxRaises bounds the raised exceptions of a thread that are remembered.
const maxRaises = 10_000

func (k *noteRaise) Holds(h *replay.Hit) bool {
	if h.Exception == nil {
		return false
	}
	list := k.raises[h.Thread.TID]
	if len(list) >= maxRaises {
		list = append(list[:0:0], list[maxRaises/2:]...)
	}
	k.raises[h.Thread.TID] = append(list, raisedPlace{h.Pos, h.Exception.Addr, h.Exception.Type})
	return k.lost[h.Pos]
}

// noteLost holds where the interpreter gives an exception up of which that
// was not known.
type noteLost exceptions

func (k *noteLost) Holds(h *replay.Hit) bool {
	at, ok := (*exceptions)(k).given(h)
	if !ok || k.lost[at.at] {
		return false
	}
	k.lost[at.at] = true
	return true
}

// given returns where the exception was raised that a thread gives up.
func (k *exceptions) given(h *replay.Hit) (raisedPlace, bool) {
	list := k.raises[h.Thread.TID]
	var addrs []uint64
	if rt, err := h.Process.Runtime(); err == nil {
		if pt, err := h.Process.PyThread(h.Thread); err == nil {
			raising, handling, _ := rt.Exceptions(h.Process.Mem(), pt)
			if raising != nil {
				addrs = append(addrs, raising.Addr)
			} else if handling != nil {
				addrs = append(addrs, handling.Addr)
			}
		}
	}
	// Going backwards places are noted out of order: the last before here.
	var best raisedPlace
	found := false
	for _, r := range list {
		if r.at.Instr > h.Pos.Instr || r.typ == "SystemExit" {
			continue
		}
		match := len(addrs) == 0 || addrs[0] == 0 || addrs[0] == r.addr
		if match && (!found || r.at.Instr >= best.at.Instr) {
			best, found = r, true
		}
	}
	return best, found
}

// raisedAt says which exception a stop is for. From where an uncaught one was
// given up it goes back to where it was raised.
func (k *breakpoints) raisedAt(x *replay.Session, st *replay.Stop) (*replay.Stop, *raised, error) {
	isRaise, lost := false, false
	for _, b := range st.Hit.Breaks {
		for _, g := range k.giveUp {
			lost = lost || b == g
		}
		isRaise = isRaise || b.Kind == replay.BreakRaise
	}
	if lost && !isRaise {
		x.SetBreaks([]*replay.Break{k.raise})
		back, err := x.ReverseContinue(nil)
		x.SetBreaks(k.breaks())
		if err != nil {
			return st, nil, err
		}
		if back.Kind == replay.StopInterrupted {
			return back, nil, nil
		}
		if back.Hit == nil || back.Hit.Exception == nil {
			return back, nil, errors.New("where the exception was raised that nothing caught is not found")
		}
		st, isRaise = back, true
	}
	if !isRaise || st.Hit.Exception == nil {
		return st, nil, nil
	}
	e := st.Hit.Exception
	return st, &raised{e.Type, e.Text, k.lost[st.Hit.Pos]}, nil
}

// exceptionInfo describes the exception that the process stopped for.
func (s *Server) exceptionInfo(m *message) error {
	if s.why == nil || s.why.exc == nil {
		return errors.New("the process did not stop for an exception")
	}
	e := s.why.exc
	r := &dap.ExceptionInfoResponse{Response: m.answer()}
	r.Body.ExceptionId, r.Body.Description, r.Body.BreakMode = e.typ, e.text, "always"
	if e.uncaught {
		r.Body.BreakMode = "unhandled"
	}
	r.Body.Details = &dap.ExceptionDetails{Message: e.text, TypeName: e.typ, FullTypeName: e.typ}
	s.send(r)
	return nil
}
