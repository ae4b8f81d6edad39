package dap

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/google/go-dap"

	"pyrr/cpython"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// refs are the numbers that frames and values have for the editor while the
// process stands. They are not used twice.
type refs struct {
	next   int
	stacks map[int32][]Frame
	ids    map[int32]int // of the first frame of each stack
	frames map[int]*Frame
	values map[int]valueRef
}

// valueRef is something with variables in it: an object, or the locals or
// globals of a frame.
type valueRef struct {
	frame *cpython.Frame
	all   bool // its globals
	addr  uint64
	name  string // the expression for it
}

func (r *refs) clear() {
	r.stacks, r.ids = map[int32][]Frame{}, map[int32]int{}
	r.frames, r.values = map[int]*Frame{}, map[int]valueRef{}
}

func (r *refs) value(v valueRef) int {
	if r.values == nil {
		r.clear()
	}
	r.next++
	r.values[r.next] = v
	return r.next
}

func (s *Server) threads(m *message) error {
	r := &dap.ThreadsResponse{Response: m.answer()}
	r.Body.Threads = []dap.Thread{}
	if s.running {
		for tid := range s.known {
			r.Body.Threads = append(r.Body.Threads, dap.Thread{Id: int(tid), Name: fmt.Sprintf("thread %d", tid)})
		}
	} else if err := s.x.With(func(p *replay.Process, _ *replay.Thread) error {
		var all []cpython.Thread
		if rt, err := p.Runtime(); err == nil {
			all, _ = rt.Threads(p.Mem()) // a thread without a name has its number
		}
		for tid, t := range p.Threads() {
			name := fmt.Sprintf("thread %d", tid)
			regs := t.Regs()
			for _, pt := range all {
				if (pt.Ident == regs.TLS() || pt.NativeID == int(tid)) && pt.Name != "" {
					name = pt.Name
				}
			}
			if strings.HasPrefix(name, "thread ") && int(tid) == p.Info.PID {
				name = "MainThread"
			}
			r.Body.Threads = append(r.Body.Threads, dap.Thread{Id: int(tid), Name: name})
		}
		return nil
	}); err != nil {
		return err
	}
	if len(r.Body.Threads) == 0 {
		// An editor without threads offers no way back from the end.
		r.Body.Threads = append(r.Body.Threads, dap.Thread{Id: s.threadID(0), Name: "MainThread"})
	}
	slices.SortFunc(r.Body.Threads, func(a, b dap.Thread) int { return a.Id - b.Id })
	s.send(r)
	return nil
}

// stack reads the frames of a thread, once while it stands.
func (s *Server) stack(tid int32) ([]Frame, error) {
	if s.refs.stacks == nil {
		s.refs.clear()
	}
	if frames, ok := s.refs.stacks[tid]; ok {
		return frames, nil
	}
	var frames []Frame
	var err error
	gone := false
	if err := s.x.With(func(p *replay.Process, _ *replay.Thread) error {
		gone = p.Threads()[tid] == nil
		return nil
	}); err != nil {
		return nil, err
	}
	switch {
	case gone && int(tid) != s.threadID(0):
		return nil, fmt.Errorf("there is no thread %d here", tid)
	case gone:
	case s.launch.NativeFrames:
		frames, err = s.t.Frames(tid)
	default:
		err = s.x.With(func(p *replay.Process, _ *replay.Thread) error {
			py, err := p.PyFrames(p.Threads()[tid], 0)
			if errors.Is(err, replay.ErrNoPython) {
				return nil
			}
			for i := range py {
				frames = append(frames, Frame{Frame: py[i].Frame, Python: &py[i]})
			}
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	s.refs.stacks[tid] = frames
	s.refs.ids[tid] = s.refs.next + 1
	for i := range frames {
		s.refs.next++
		s.refs.frames[s.refs.next] = &frames[i]
	}
	return frames, nil
}

func (s *Server) stackTrace(m *message, args *dap.StackTraceArguments) error {
	frames, err := s.stack(int32(args.ThreadId))
	if err != nil {
		return err
	}
	id := s.refs.ids[int32(args.ThreadId)]
	r := &dap.StackTraceResponse{Response: m.answer()}
	r.Body.StackFrames, r.Body.TotalFrames = []dap.StackFrame{}, len(frames)
	from := min(max(args.StartFrame, 0), len(frames))
	to := len(frames)
	if args.Levels > 0 {
		to = min(to, from+min(args.Levels, to))
	}
	for i := from; i < to; i++ {
		f := &frames[i]
		out := dap.StackFrame{Id: id + i, Name: f.Func, Column: s.base, Line: max(f.Line, 1) - 1 + s.base}
		if f.Kind == stack.Python {
			out.Source = s.src.of(f.File)
		} else {
			out.PresentationHint, out.InstructionPointerReference = "subtle", fmt.Sprintf("%#x", f.PC)
			if f.Text != "" {
				out.Name = f.Text
			}
			if f.Module != "" {
				out.Name += " from " + path.Base(f.Module)
			}
			if _, err := os.Stat(f.File); f.File != "" && err == nil {
				out.Source = &dap.Source{Name: path.Base(f.File), Path: f.File, PresentationHint: "deemphasize"}
			} else {
				out.Line, out.Column = 0, 0
			}
		}
		if out.Name == "" {
			out.Name = "?"
		}
		r.Body.StackFrames = append(r.Body.StackFrames, out)
	}
	s.send(r)
	return nil
}

func (s *Server) frame(id int) (*Frame, error) {
	f := s.refs.frames[id]
	if f == nil {
		return nil, fmt.Errorf("there is no frame %d any more", id)
	}
	return f, nil
}

func (s *Server) scopes(m *message, id int) error {
	f, err := s.frame(id)
	if err != nil {
		return err
	}
	r := &dap.ScopesResponse{Response: m.answer()}
	r.Body.Scopes = []dap.Scope{}
	if f.Python != nil {
		r.Body.Scopes = append(r.Body.Scopes,
			dap.Scope{Name: "Locals", PresentationHint: "locals", VariablesReference: s.refs.value(valueRef{frame: f.Python})},
			dap.Scope{Name: "Globals", PresentationHint: "globals", VariablesReference: s.refs.value(valueRef{frame: f.Python, all: true}), Expensive: true})
	}
	s.send(r)
	return nil
}

// show describes a value to the editor; what is in it is read when it asks.
func (s *Server) show(name, expr string, o *cpython.Object) dap.Variable {
	v := dap.Variable{Name: name, Value: o.Text, Type: o.Type, EvaluateName: expr}
	if o.Inside {
		v.VariablesReference = s.refs.value(valueRef{addr: o.Addr, name: expr})
		if o.Indexed > 100 {
			v.IndexedVariables = o.Indexed
		}
	}
	return v
}

func (s *Server) variables(m *message, args *dap.VariablesArguments) error {
	ref, ok := s.refs.values[args.VariablesReference]
	if !ok {
		return fmt.Errorf("there is no value %d any more", args.VariablesReference)
	}
	r := &dap.VariablesResponse{Response: m.answer()}
	r.Body.Variables = []dap.Variable{}
	var vars []cpython.Variable
	var parts []cpython.Child
	err := s.x.With(func(p *replay.Process, _ *replay.Thread) error {
		rt, err := p.Runtime()
		if err != nil {
			return err
		}
		mem := p.Mem()
		switch {
		case ref.frame == nil:
			parts, err = rt.Children(mem, ref.addr, args.Start, args.Count)
		case ref.all:
			vars, err = rt.Globals(mem, *ref.frame)
		default:
			vars, err = rt.Locals(mem, *ref.frame)
		}
		for _, v := range vars {
			parts = append(parts, cpython.Child{Name: v.Name, Object: rt.Object(mem, v.Addr)})
		}
		return err
	})
	if err != nil && len(parts) == 0 {
		return err
	}
	for i := range parts {
		c := &parts[i]
		expr := ""
		switch {
		case ref.frame != nil:
			expr = c.Name
		case ref.name == "" || c.Name[0] == '{':
		case c.Name[0] == '[':
			expr = ref.name + c.Name
		default:
			expr = ref.name + "." + c.Name
		}
		r.Body.Variables = append(r.Body.Variables, s.show(c.Name, expr, &c.Object))
	}
	if err != nil {
		r.Body.Variables = append(r.Body.Variables, dap.Variable{Name: "…", Value: err.Error()})
	}
	s.send(r)
	return nil
}

func (s *Server) evaluate(m *message, args *dap.EvaluateArguments) error {
	text := strings.TrimSpace(args.Expression)
	if command, ok := strings.CutPrefix(text, "-exec "); ok && args.Context == "repl" {
		s.run(&run{kind: "command", where: strings.TrimSpace(command), m: *m})
		return nil
	}
	e, err := cpython.ParseExpr(text)
	if err != nil {
		if args.Context == "repl" {
			err = fmt.Errorf("%w (-exec COMMAND runs a command of pyrr replay)", err)
		}
		return err
	}
	var res cpython.Result
	eval := func(p *replay.Process, f cpython.Frame) error {
		rt, err := p.Runtime()
		if err == nil {
			res, err = rt.Eval(p.Mem(), f, e)
		}
		return err
	}
	if args.FrameId != 0 {
		f, ferr := s.frame(args.FrameId)
		if ferr != nil {
			return ferr
		}
		if f.Python == nil {
			return errors.New("this is a frame of C; expressions are Python's")
		}
		err = s.x.With(func(p *replay.Process, _ *replay.Thread) error { return eval(p, *f.Python) })
	} else {
		err = s.x.With(func(p *replay.Process, cur *replay.Thread) error {
			if cur == nil {
				return replay.ErrNoPython
			}
			frames, err := p.PyFrames(cur, 1)
			if err != nil {
				return err
			}
			return eval(p, frames[0])
		})
	}
	if err != nil {
		return err
	}
	v := s.show("", text, &res.Object)
	r := &dap.EvaluateResponse{Response: m.answer()}
	r.Body.Result, r.Body.Type = v.Value, v.Type
	r.Body.VariablesReference, r.Body.IndexedVariables = v.VariablesReference, v.IndexedVariables
	s.send(r)
	return nil
}
