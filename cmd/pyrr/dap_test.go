//go:build linux && amd64

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-dap"

	"pyrr/internal/probe"
)

const dapProgram = `"""A program for the debug adapter."""
import threading


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


def double(x):
    y = x * 2
    return y


def work(n):
    total = 0
    for i in range(n):
        total += double(i)
    return total


def fail(items):
    try:
        raise KeyError("caught")
    except KeyError:
        pass
    raise ValueError(
        "lost")


t = threading.Thread(target=work, args=(3,), name="worker")
t.start()
t.join()
point = Point(3, [1, {"k": (2, 3)}])
print("before", flush=True)
print(work(4), flush=True)
fail(list(range(300)))
`

// dapRecording records the program with an interpreter.
func dapRecording(t *testing.T, python string) (rec, app string) {
	t.Helper()
	dir := t.TempDir()
	app = filepath.Join(dir, "app.py")
	if err := os.WriteFile(app, []byte(dapProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	rec = filepath.Join(dir, "x.pyrr.zip")
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, app); status != 1 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	return rec, app
}

// dapInterpreters are two interpreters that differ in how they are built and read, or
// all interpreters where everything is to be tested.
func dapInterpreters(t *testing.T) []string {
	probe.Require(t)
	all := testInterpreters()
	if os.Getenv("PYRR_E2E") == "full" {
		return all
	}
	var out []string
	for _, p := range all {
		if v := pythonVersion(p); p == testPython() || strings.HasPrefix(v, "3.9.") || strings.HasPrefix(v, "3.13.") {
			out = append(out, p)
		}
	}
	if len(out) > 2 {
		out = out[:2]
	}
	if len(out) == 0 {
		t.Skip("there is no Python")
	}
	return out
}

// TestDAP is a session of an editor: breakpoints of all kinds, stepping,
// looking around, forwards and back.
func TestDAP(t *testing.T) {
	for _, python := range dapInterpreters(t) {
		version := pythonVersion(python)
		if version == "" || strings.HasPrefix(version, "3.6") || strings.HasPrefix(version, "3.7") {
			continue
		}
		t.Run(version, func(t *testing.T) {
			rec, app := dapRecording(t, python)
			dapSession(t, rec, app)
		})
	}
}

func dapSession(t *testing.T, rec, app string) {
	e := startEditor(t)
	if c := e.launch(rec, nil).Body; !c.SupportsStepBack || !c.SupportsLogPoints || len(c.ExceptionBreakpointFilters) != 2 {
		t.Errorf("capabilities: %+v", c)
	}
	dapBreakpoints(t, e, app)
	e.do("setExceptionBreakpoints", map[string]any{"filters": []string{"uncaught"}})
	e.do("configurationDone", nil)

	// The first stop is at the first line, where there is a breakpoint too.
	s := e.event("stopped").(*dap.StoppedEvent)
	main := s.Body.ThreadId
	if s.Body.Reason != "entry" && s.Body.Reason != "breakpoint" || !s.Body.AllThreadsStopped {
		t.Errorf("the first stop: %+v", s.Body)
	}
	e.breakpoints(app, dap.SourceBreakpoint{Line: 11, Condition: "x == 2"}, dap.SourceBreakpoint{Line: 18, LogMessage: "i is {i}, total {total}"})

	// In the other thread.
	s = e.move("continue", main, "breakpoint")
	worker := s.Body.ThreadId
	if worker == main || len(s.Body.HitBreakpointIds) != 1 {
		t.Errorf("the breakpoint in the worker: %+v, main is %d", s.Body, main)
	}
	st := dapLook(t, e, worker, main, app)

	dapSteps(t, e, worker, st)

	dapHits(t, e, app, worker, main)
	st = e.stack(main)
	if st[0].Name != "fail" || st[1].Name != "<module>" {
		t.Fatalf("stack: %+v", st)
	}
	dapVariables(t, e, st)

	dapException(t, e, main)
	e.do("setExceptionBreakpoints", map[string]any{"filters": []string{}})
	e.do("setFunctionBreakpoints", map[string]any{"breakpoints": []any{}})
	dapPlaces(t, e, main)
	e.do("restart", nil)
	e.stopped("entry")
	if f := e.stack(main)[0]; f.Line > 2 {
		t.Errorf("the beginning is at %+v", f)
	}
	e.leave()
}

// dapPlaces goes to events, and asks the console.
func dapPlaces(t *testing.T, e *editor, main int) {
	var events struct {
		Here   uint64
		Events []struct {
			Number uint64
			Text   string
		}
	}
	if err := json.Unmarshal(e.do("pyrr/events", map[string]any{"count": 400}).(*customResponse).Body, &events); err != nil {
		t.Fatal(err)
	}
	to := ""
	for _, ev := range events.Events {
		if ev.Number < events.Here && strings.HasPrefix(ev.Text, "write(1") {
			to = "e" + strconv.FormatUint(ev.Number, 10)
			break
		}
	}
	if to == "" {
		t.Fatalf("no write in %+v", events)
	}
	e.do("pyrr/goto", map[string]any{"to": to})
	e.stopped("goto")
	if f := e.stack(main)[0]; f.Line != 35 {
		t.Errorf("the write is at %+v", f)
	}
	e.fails("pyrr/goto", map[string]any{"to": "noon"}, "not a position")
	e.stopped("goto")
	before := e.output["stdout"]
	e.move("next", main, "step")
	if e.output["stdout"] != before+"before\n" {
		t.Errorf("output that comes again: %q, then %q", before, e.output["stdout"])
	}
	if out := e.do("evaluate", map[string]any{"expression": "-exec bt", "context": "repl"}).(*dap.EvaluateResponse).Body.Result; !strings.Contains(out, "<module>") && !strings.Contains(out, "app.py") {
		t.Errorf("bt: %q", out)
	}
}

// dapException runs to the exception that ends the program, and back from there.
func dapException(t *testing.T, e *editor, main int) {
	s := e.move("continue", main, "exception")
	if s.Body.Text != "ValueError('lost')" || !strings.Contains(s.Body.Description, "nothing caught") {
		t.Errorf("the exception: %+v", s.Body)
	}
	if f := e.stack(main)[0]; f.Name != "fail" || f.Line < 27 || f.Line > 28 {
		t.Errorf("raised at %+v", f)
	}
	if x := e.do("exceptionInfo", map[string]any{"threadId": main}).(*dap.ExceptionInfoResponse).Body; x.ExceptionId != "ValueError" || x.BreakMode != "unhandled" {
		t.Errorf("exception: %+v", x)
	}
	e.move("continue", main, "end")
	if !strings.Contains(e.output["stderr"], "ValueError: lost") {
		t.Errorf("standard error: %q", e.output["stderr"])
	}
	e.do("threads", nil)
	e.stack(main)
	e.do("setExceptionBreakpoints", map[string]any{"filters": []string{}, "filterOptions": []map[string]any{{"filterId": "raised", "condition": "LookupError"}}})
	s = e.move("reverseContinue", main, "exception")
	if s.Body.Text != "KeyError('caught')" {
		t.Errorf("going back: %+v", s.Body)
	}
	e.move("reverseContinue", main, "function breakpoint")
}

// dapVariables looks into variables, which are read when they are asked for.
func dapVariables(t *testing.T, e *editor, st []dap.StackFrame) {
	scopes := e.do("scopes", map[string]any{"frameId": st[0].Id}).(*dap.ScopesResponse).Body.Scopes
	locals := e.variables(scopes[0].VariablesReference)
	if v := locals["items"]; v.Type != "list" || v.IndexedVariables != 300 {
		t.Errorf("items: %+v", v)
	} else if part := e.do("variables", map[string]any{"variablesReference": v.VariablesReference, "start": 298, "count": 5}).(*dap.VariablesResponse).Body.Variables; len(part) != 2 || part[1].Value != "299" || part[1].EvaluateName != "items[299]" {
		t.Errorf("two of them: %+v", part)
	}
	globals := e.variables(scopes[1].VariablesReference)
	point := e.variables(globals["point"].VariablesReference)
	if point["x"].Value != "3" || globals["point"].Type != "Point" {
		t.Errorf("point: %+v", point)
	}
	inner := e.variables(e.variables(point["y"].VariablesReference)["[1]"].VariablesReference)
	if v := inner["['k']"]; v.Value != "(2, 3)" || v.EvaluateName != "point.y[1]['k']" {
		t.Errorf("within: %+v", inner)
	}
	if v := e.eval(inner["['k']"].EvaluateName+"[1]", 0); v != "3" {
		t.Errorf("by its name: %s", v)
	}
}

// dapHits stops at breakpoints with a number of hits, and at a function.
func dapHits(t *testing.T, e *editor, app string, worker, main int) {
	e.breakpoints(app, dap.SourceBreakpoint{Line: 12, HitCondition: ">= 3"})
	fns := e.do("setFunctionBreakpoints", map[string]any{"breakpoints": []map[string]any{{"name": "fail"}, {"name": "nonesuch"}}}).(*dap.SetFunctionBreakpointsResponse).Body.Breakpoints
	if !fns[0].Verified || fns[1].Verified || !strings.Contains(fns[1].Message, "no file that ran defines nonesuch") {
		t.Errorf("function breakpoints: %+v", fns)
	}
	e.move("continue", worker, "breakpoint")
	if s := e.move("continue", worker, "breakpoint"); s.Body.ThreadId != main {
		t.Errorf("stopped in thread %d", s.Body.ThreadId)
	}
	e.breakpoints(app)
	if e.output["stdout"] != "before\n" {
		t.Errorf("printed so far: %q", e.output["stdout"])
	}
	e.move("continue", main, "function breakpoint")
	if e.output["stdout"] != "before\n12\n" {
		t.Errorf("printed so far: %q", e.output["stdout"])
	}
}

// dapSteps steps forwards and back.
func dapSteps(t *testing.T, e *editor, worker int, st []dap.StackFrame) {
	place := func(line int, fn string) {
		t.Helper()
		if f := e.stack(worker)[0]; f.Line != line || !strings.HasSuffix(f.Name, fn) {
			t.Errorf("at %s:%d, want %s:%d", f.Name, f.Line, fn, line)
		}
	}
	e.move("next", worker, "step")
	place(12, "double")
	if v := e.eval("y", 0); v != "4" {
		t.Errorf("y is %s", v)
	}
	e.move("stepBack", worker, "step")
	place(11, "double")
	e.move("stepOut", worker, "step")
	place(18, "work")
	e.move("stepBack", worker, "step")
	e.move("stepIn", worker, "step")
	e.fails("scopes", map[string]any{"frameId": st[0].Id}, "any more")
}

// dapLook looks around at a breakpoint in the other thread.
func dapLook(t *testing.T, e *editor, worker int, main int, app string) []dap.StackFrame {
	names := map[int]string{}
	for _, th := range e.do("threads", nil).(*dap.ThreadsResponse).Body.Threads {
		names[th.Id] = th.Name
	}
	if names[worker] != "worker" || names[main] != "MainThread" {
		t.Errorf("threads: %v", names)
	}
	if want := "i is 0, total 0\ni is 1, total 0\ni is 2, total 2\n"; e.output["console"] != want {
		t.Errorf("the logpoint printed %q, want %q", e.output["console"], want)
	}
	st := e.stack(worker)
	if st[0].Name != "double" || st[0].Line != 11 || st[1].Line != 18 || !strings.HasSuffix(st[1].Name, "work") {
		t.Errorf("stack: %+v", st[:2])
	}
	if src := st[0].Source; src.Path != app || src.SourceReference != 0 {
		t.Errorf("source: %+v", src)
	}
	if other := e.stack(main); other[len(other)-1].Name != "<module>" || other[len(other)-1].Line != 32 && other[len(other)-1].Line != 33 {
		t.Errorf("the main thread's stack: %+v", other)
	}
	if v := e.eval("x * 10 + len('a')", st[0].Id); v != "21" {
		t.Errorf("evaluated: %s", v)
	}
	if v := e.eval("total", st[1].Id); v != "2" {
		t.Errorf("in the caller: %s", v)
	}
	e.fails("evaluate", map[string]any{"expression": "nonesuch", "frameId": st[0].Id}, `no variable "nonesuch"`)
	e.fails("evaluate", map[string]any{"expression": "print(x)", "context": "repl"}, "-exec")
	return st
}

// dapBreakpoints sets breakpoints of all kinds, before the program runs.
func dapBreakpoints(t *testing.T, e *editor, app string) {
	got := e.breakpoints(app,
		dap.SourceBreakpoint{Line: 11, Condition: "x == 2 and y is None or x > 1 and len('ab') == 2"},
		dap.SourceBreakpoint{Line: 18, LogMessage: "i is {i}, total {total}"},
		dap.SourceBreakpoint{Line: 1}, // a docstring
		dap.SourceBreakpoint{Line: 500},
		dap.SourceBreakpoint{Line: 12, Condition: "f(x)"},
		dap.SourceBreakpoint{Line: 28}, // the second line of a statement
		dap.SourceBreakpoint{Line: 20, HitCondition: "often"})
	for i, want := range []struct {
		verified bool
		line     int
		message  string
	}{{true, 11, ""}, {true, 18, ""}, {true, 2, ""}, {false, 500, "app.py had 37 lines"}, {false, 12, "can't call functions"}, {true, 27, ""}, {false, 20, "hit count"}} {
		if b := got[i]; b.Verified != want.verified || b.Line != want.line || !strings.Contains(b.Message, want.message) {
			t.Errorf("breakpoint %d: %+v, want %+v", i, b, want)
		}
	}
	if b := e.breakpoints("/nowhere/else.py", dap.SourceBreakpoint{Line: 1})[0]; b.Verified || !strings.Contains(b.Message, "no file else.py ran") {
		t.Errorf("a file that did not run: %+v", b)
	}
}

// TestDAPPause stops a run, and changes breakpoints during one.
func TestDAPPause(t *testing.T) {
	python := tracedPython(t)
	dir := t.TempDir()
	app := filepath.Join(dir, "busy.py")
	if err := os.WriteFile(app, []byte("n = 0\nwhile n < 2000000:\n    n += 1\nprint('done', flush=True)\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(dir, "busy.pyrr.zip")
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, app); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	e := startEditor(t)
	e.launch(rec, nil)
	e.do("configurationDone", nil)
	main := e.stopped("entry").Body.ThreadId
	e.do("continue", map[string]any{"threadId": main})
	if b := e.breakpoints(app, dap.SourceBreakpoint{Line: 4})[0]; !b.Verified {
		t.Errorf("a breakpoint while it runs: %+v", b)
	}
	e.do("pause", map[string]any{"threadId": main})
	// The run may have come to the breakpoint before the pause, or it was already past
	// the breakpoint when that was set, and came to the end.
	s := e.event("stopped").(*dap.StoppedEvent)
	if s.Body.Reason == "pause" {
		e.do("continue", map[string]any{"threadId": main})
		s = e.event("stopped").(*dap.StoppedEvent)
	}
	if s.Body.Reason == "end" {
		s = e.move("reverseContinue", main, "breakpoint")
	}
	if s.Body.Reason != "breakpoint" {
		t.Errorf("stopped: %+v", s.Body)
	}
	if f := e.stack(main)[0]; f.Line != 4 {
		t.Errorf("stopped at line %d", f.Line)
	}
	e.do("continue", map[string]any{"threadId": main})
	e.leave() // in the middle of a run, or at its end
}

// TestDAPCompletions offers names, attributes and the console's commands, and no
// stack where the recording begins, before there is a Python.
func TestDAPCompletions(t *testing.T) {
	rec := recordText(t, valuesProgram)
	e := startEditor(t)
	e.launch(rec, map[string]any{"stopOnEntry": false})
	e.breakpoints("app.py", dap.SourceBreakpoint{Line: 10})
	e.do("configurationDone", nil)
	st := e.stopped("breakpoint")
	frame := e.stack(st.Body.ThreadId)[0].Id
	for _, c := range []struct {
		text string
		want []string
	}{
		{"self.", []string{"log", "n", "state"}},
		{"1 + self.st", []string{"state"}},
		{"LIM", []string{"LIMIT"}},
		{"self.nosuch.", nil},
		{"é = sel", []string{"self"}},
		{"-exec info reg", []string{"registers"}},
		{"-exec p self.s", []string{"self.state"}},
	} {
		n := len(utf16.Encode([]rune(c.text)))
		r := e.do("completions", map[string]any{"frameId": frame, "text": c.text, "column": n + 1}).(*dap.CompletionsResponse)
		var got []string
		for _, x := range r.Body.Targets {
			got = append(got, x.Label)
			if x.Start+x.Length != n {
				t.Errorf("%q: %s replaces %d from %d", c.text, x.Label, x.Length, x.Start)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, not %v", c.text, got, c.want)
		}
	}
	e.breakpoints("app.py")
	e.move("reverseContinue", st.Body.ThreadId, "start")
	if frames := e.stack(st.Body.ThreadId); len(frames) != 0 {
		t.Errorf("where the recording begins: %+v", frames)
	}
	e.leave()
}
