package dap

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-dap"

	"pyrr/cpython"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// breakpoints are those of the editor.
type breakpoints struct {
	s     *Server
	next  int
	lines map[string][]*breakpoint // by the recorded file
	funcs []*breakpoint
	exceptions
	live bool // the process goes forwards: logpoints print
}

// breakpoint is one of them; it decides as a replay.Condition about each stop.
type breakpoint struct {
	s    *Server
	id   int
	b    *replay.Break // nil where it can't be placed
	cond *cpython.Expr
	hits *hitCondition
	log  []logPart
	// places are where the condition held, in order, for the hit condition.
	places []recording.Pos
	said   bool // that the condition can't be evaluated
}

// breaks lists all of them for the session.
func (k *breakpoints) breaks() []*replay.Break {
	var out []*replay.Break
	add := func(list []*breakpoint) {
		for _, b := range list {
			if b.b != nil {
				out = append(out, b.b)
			}
		}
	}
	for _, list := range k.lines {
		add(list)
	}
	add(k.funcs)
	return append(out, k.exceptions.list...)
}

// make begins a breakpoint with what restricts it.
func (s *Server) newBreakpoint(cond, hits, log string) (*breakpoint, error) {
	s.bps.s = s
	s.bps.next++
	b := &breakpoint{s: s, id: s.bps.next}
	var err error
	if cond = strings.TrimSpace(cond); cond != "" {
		if b.cond, err = cpython.ParseExpr(cond); err != nil {
			return b, fmt.Errorf("condition: %w", err)
		}
	}
	if hits = strings.TrimSpace(hits); hits != "" {
		if b.hits, err = parseHits(hits); err != nil {
			return b, err
		}
	}
	if log != "" {
		if b.log, err = parseLog(log); err != nil {
			return b, err
		}
	}
	return b, nil
}

// place makes the breakpoint one of the session's.
func (b *breakpoint) place(rb replay.Break) {
	if b.cond != nil || b.hits != nil || b.log != nil {
		rb.Cond = b
	}
	b.b = &rb
}

// setBreakpoints replaces the breakpoints of one file.
func (s *Server) setBreakpoints(args *dap.SetBreakpointsArguments) []dap.Breakpoint {
	file, note, ferr := s.src.find(&args.Source)
	want := args.Breakpoints
	if want == nil {
		for _, l := range args.Lines {
			want = append(want, dap.SourceBreakpoint{Line: l})
		}
	}
	out := []dap.Breakpoint{}
	var list []*breakpoint
	for i := range want {
		b, err := s.newBreakpoint(want[i].Condition, want[i].HitCondition, want[i].LogMessage)
		line := want[i].Line + 1 - s.base
		at, src := line, &args.Source
		if err == nil {
			err = ferr
		}
		code := s.src.code(file)
		switch {
		case code == nil || line < 1:
		case line > code.last:
			err = errors.Join(err, fmt.Errorf("%s had %d lines when it ran", path.Base(file), code.last))
		default:
			var ok bool
			if at, ok = code.at(line); !ok {
				err = errors.Join(err, errors.New("no code follows in this file"))
			}
		}
		if line < 1 {
			err = errors.Join(err, errors.New("lines count from 1"))
		}
		r := dap.Breakpoint{Id: b.id, Verified: err == nil, Message: note, Line: at - 1 + s.base, Source: src}
		if err != nil {
			r.Message, r.Line = err.Error(), want[i].Line
		}
		// Where the sources don't tell, it may still be hit.
		if err == nil || errors.Is(err, ferr) && ferr != nil && file != "" && line >= 1 {
			b.place(replay.Break{Kind: replay.BreakLine, File: file, Line: at})
		}
		list = append(list, b)
		out = append(out, r)
	}
	if s.bps.lines == nil {
		s.bps.lines = map[string][]*breakpoint{}
	}
	s.bps.lines[file] = list
	s.x.SetBreaks(s.bps.breaks())
	return out
}

// setFunctions replaces the breakpoints at functions: NAME, CLASS.NAME or
// FILE::NAME in Python, c:NAME in C.
func (s *Server) setFunctions(want []dap.FunctionBreakpoint) []dap.Breakpoint {
	out := []dap.Breakpoint{}
	s.bps.funcs = nil
	for i := range want {
		b, err := s.newBreakpoint(want[i].Condition, want[i].HitCondition, "")
		name := strings.TrimSpace(want[i].Name)
		rb := replay.Break{Kind: replay.BreakCall, Func: name}
		if file, fn, ok := strings.Cut(name, "::"); ok {
			rb.File, rb.Func = file, fn
		}
		c, isC := strings.CutPrefix(name, "c:")
		switch {
		case err != nil:
		case name == "":
			err = errors.New("which function?")
		case !isC && (len(s.src.names) == 0 || s.src.defines(rb.Func)):
		case s.x.Exports(c):
			rb = replay.Break{Kind: replay.BreakSymbol, Name: c}
		case isC:
			err = fmt.Errorf("no library of the recording has a function %s", c)
		default:
			err = fmt.Errorf("no file that ran defines %s", rb.Func)
		}
		r := dap.Breakpoint{Id: b.id, Verified: err == nil}
		if err != nil {
			r.Message = err.Error()
		} else {
			b.place(rb)
		}
		s.bps.funcs = append(s.bps.funcs, b)
		out = append(out, r)
	}
	s.x.SetBreaks(s.bps.breaks())
	return out
}

// Holds implements replay.Condition. It is called on the tracing thread, more
// than once for one place where the replay goes back.
func (b *breakpoint) Holds(h *replay.Hit) bool {
	if b.cond != nil {
		res, err := evalAt(h, b.cond)
		if err != nil {
			if !b.said {
				b.said = true
				b.s.say("stderr", "The condition %q of a breakpoint: %v\n", b.cond, err)
			}
			return false
		}
		if !res.True {
			return false
		}
	}
	if b.hits != nil && !b.hits.holds(b.count(h.Pos)) {
		return false
	}
	if b.log == nil {
		return true
	}
	if b.s.bps.live {
		b.s.say("console", "%s\n", logText(b.log, h))
	}
	return false
}

// count says which number this place has among those that were seen, in the
// order of the recording; a place counts once, however often it is passed.
func (b *breakpoint) count(at recording.Pos) int {
	i, found := slices.BinarySearchFunc(b.places, at, func(a, b recording.Pos) int {
		switch {
		case a.Instr != b.Instr:
			if a.Instr < b.Instr {
				return -1
			}
			return 1
		case a.Event < b.Event:
			return -1
		case a.Event > b.Event:
			return 1
		}
		return 0
	})
	if !found {
		b.places = slices.Insert(b.places, i, at)
	}
	return i + 1
}

// evalAt evaluates an expression where a breakpoint was hit.
func evalAt(h *replay.Hit, e *cpython.Expr) (cpython.Result, error) {
	frames, err := h.Process.PyFrames(h.Thread, 1)
	if err != nil {
		return cpython.Result{}, err
	}
	rt, err := h.Process.Runtime()
	if err != nil {
		return cpython.Result{}, err
	}
	return rt.Eval(h.Process.Mem(), frames[0], e)
}

// hitCondition is a comparison with the number of a hit.
type hitCondition struct {
	op string
	n  int
}

func parseHits(text string) (*hitCondition, error) {
	c := &hitCondition{op: "=="}
	rest := text
	for _, op := range []string{">=", "<=", "==", "=", ">", "<", "%"} {
		if r, ok := strings.CutPrefix(text, op); ok {
			c.op, rest = op, r
			break
		}
	}
	var err error
	if c.n, err = strconv.Atoi(strings.TrimSpace(rest)); err != nil || c.n < 0 || c.op == "%" && c.n == 0 {
		return nil, fmt.Errorf("hit count: a number, or one behind ==, >, >=, <, <= or %%, not %q", cut(text, 40))
	}
	return c, nil
}

func (c *hitCondition) holds(n int) bool {
	switch c.op {
	case ">=":
		return n >= c.n
	case "<=":
		return n <= c.n
	case ">":
		return n > c.n
	case "<":
		return n < c.n
	case "%":
		return n%c.n == 0
	}
	return n == c.n
}

// logPart is a piece of a log message: text, or an expression in braces.
type logPart struct {
	text string
	expr *cpython.Expr
}

func parseLog(text string) ([]logPart, error) {
	var out []logPart
	var lit strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case (c == '{' || c == '}') && i+1 < len(text) && text[i+1] == c:
			lit.WriteByte(c)
			i++
		case c == '{':
			n := strings.IndexByte(text[i:], '}')
			if n < 0 {
				return nil, errors.New("log message: a { without its }")
			}
			e, err := cpython.ParseExpr(text[i+1 : i+n])
			if err != nil {
				return nil, fmt.Errorf("log message: %w", err)
			}
			out = append(out, logPart{text: lit.String()}, logPart{expr: e})
			lit.Reset()
			i += n
		default:
			lit.WriteByte(c)
		}
	}
	return append(out, logPart{text: lit.String()}), nil
}

func logText(parts []logPart, h *replay.Hit) string {
	var b strings.Builder
	for _, p := range parts {
		if p.expr == nil {
			b.WriteString(p.text)
			continue
		}
		res, err := evalAt(h, p.expr)
		switch {
		case err != nil:
			fmt.Fprintf(&b, "<%v>", err)
		case res.Type == "str" && len(res.Text) >= 2 && res.Text[0] == '\'':
			b.WriteString(res.Text[1 : len(res.Text)-1]) // as print has it
		default:
			b.WriteString(res.Text)
		}
	}
	return b.String()
}

// describe says which breakpoints a stop is at.
func (k *breakpoints) describe(a *arrival, body *dap.StoppedEventBody) {
	if a.exc != nil {
		body.Reason, body.Description, body.Text = "exception", "Paused on exception", a.exc.text
		if a.exc.uncaught {
			body.Description = "Paused where an exception was raised that nothing caught"
		}
	}
	if a.st.Hit == nil {
		return
	}
	find := func(list []*breakpoint, reason string) {
		for _, b := range list {
			if b.b != nil && slices.Contains(a.st.Hit.Breaks, b.b) {
				body.HitBreakpointIds = append(body.HitBreakpointIds, b.id)
				if a.exc == nil {
					body.Reason = reason
				}
			}
		}
	}
	find(k.funcs, "function breakpoint")
	for _, list := range k.lines {
		find(list, "breakpoint")
	}
	slices.Sort(body.HitBreakpointIds)
}
