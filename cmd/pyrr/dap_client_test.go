package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-dap"
)

// editor is a client of pyrr dap, with the protocol's library as its codec.
type editor struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	msgs   chan dap.Message
	errs   bytes.Buffer
	seq    int
	events []dap.Message // not looked at yet
	output map[string]string
}

// startEditor starts pyrr dap on its standard input and output.
func startEditor(t *testing.T) *editor {
	t.Helper()
	e := &editor{t: t, msgs: make(chan dap.Message, 1000), output: map[string]string{}}
	e.cmd = exec.Command(os.Args[0], "dap")
	e.cmd.Args[0] = "pyrr" // TestMain runs main for that name
	e.cmd.Stderr = &e.errs
	var err error
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go e.read(out)
	t.Cleanup(func() {
		e.in.Close()
		e.cmd.Process.Kill()
		e.cmd.Wait()
	})
	return e
}

// connectEditor talks to a pyrr dap that listens.
func connectEditor(t *testing.T, conn io.ReadWriteCloser) *editor {
	e := &editor{t: t, in: conn, msgs: make(chan dap.Message, 1000), output: map[string]string{}}
	go e.read(conn)
	return e
}

// Of a custom response the library knows only the head; its body is kept.
type customResponse struct {
	dap.Response
	Body json.RawMessage `json:"body"`
}

func (e *editor) read(out io.Reader) {
	defer close(e.msgs)
	codec := dap.NewCodec()
	for _, name := range []string{"pyrr/goto", "pyrr/events", "pyrr/when"} {
		codec.RegisterRequest(name, func() dap.Message { return &dap.Request{} }, func() dap.Message { return &customResponse{} })
	}
	r := bufio.NewReader(out)
	for {
		b, err := dap.ReadBaseMessage(r)
		if err != nil {
			return
		}
		m, err := codec.DecodeMessage(b)
		if err != nil {
			e.t.Errorf("what came can't be read: %v\n%s", err, b)
			return
		}
		e.msgs <- m
	}
}

func (e *editor) next() dap.Message {
	e.t.Helper()
	select {
	case m, ok := <-e.msgs:
		if !ok {
			e.t.Fatalf("pyrr dap has ended\n%s", e.errs.String())
		}
		if o, ok := m.(*dap.OutputEvent); ok {
			e.output[o.Body.Category] += o.Body.Output
		}
		return m
	case <-time.After(5 * time.Minute):
		e.t.Fatal("nothing came for five minutes")
	}
	return nil
}

// ask sends a request and returns its number.
func (e *editor) ask(command string, args any) int {
	e.t.Helper()
	e.seq++
	m := map[string]any{"seq": e.seq, "type": "request", "command": command}
	if args != nil {
		m["arguments"] = args
	}
	b, err := json.Marshal(m)
	if err != nil {
		e.t.Fatal(err)
	}
	if err := dap.WriteBaseMessage(e.in, b); err != nil {
		e.t.Fatalf("%s: %v\n%s", command, err, e.errs.String())
	}
	return e.seq
}

// response waits for the response to a request.
func (e *editor) response(seq int) dap.Message {
	e.t.Helper()
	for {
		m := e.next()
		r, ok := m.(dap.ResponseMessage)
		if !ok {
			e.events = append(e.events, m)
			continue
		}
		if r.GetResponse().RequestSeq == seq {
			return m
		}
	}
}

// do sends a request that succeeds.
func (e *editor) do(command string, args any) dap.Message {
	e.t.Helper()
	m := e.response(e.ask(command, args))
	if r := m.(dap.ResponseMessage).GetResponse(); !r.Success {
		e.t.Fatalf("%s %v: %s", command, args, r.Message)
	}
	return m
}

// fails sends a request that is refused, for a reason with a text in it.
func (e *editor) fails(command string, args any, want string) {
	e.t.Helper()
	m := e.response(e.ask(command, args))
	r := m.(dap.ResponseMessage).GetResponse()
	if r.Success || !strings.Contains(r.Message, want) {
		e.t.Errorf("%s %v: success %v, message %q; want %q", command, args, r.Success, r.Message, want)
	}
}

// event waits for an event.
func (e *editor) event(name string) dap.Message {
	e.t.Helper()
	for {
		for i, m := range e.events {
			if m.(dap.EventMessage).GetEvent().Event == name {
				e.events = append(e.events[:i:i], e.events[i+1:]...)
				return m
			}
		}
		m := e.next()
		if _, ok := m.(dap.EventMessage); ok {
			e.events = append(e.events, m)
		}
	}
}

// stopped waits for the process to stop.
func (e *editor) stopped(reason string) *dap.StoppedEvent {
	e.t.Helper()
	s := e.event("stopped").(*dap.StoppedEvent)
	if s.Body.Reason != reason {
		e.t.Errorf("stopped for %q (%s, %s), want %q", s.Body.Reason, s.Body.Description, s.Body.Text, reason)
	}
	return s
}

// move sends a request that moves the process and waits until it stands.
func (e *editor) move(command string, tid int, reason string) *dap.StoppedEvent {
	e.t.Helper()
	e.do(command, map[string]any{"threadId": tid})
	return e.stopped(reason)
}

// launch opens a recording up to where breakpoints are set.
func (e *editor) launch(rec string, more map[string]any) *dap.InitializeResponse {
	e.t.Helper()
	init := e.do("initialize", map[string]any{"adapterID": "pyrr", "linesStartAt1": true, "columnsStartAt1": true, "pathFormat": "path"}).(*dap.InitializeResponse)
	args := map[string]any{"recording": rec}
	for k, v := range more {
		args[k] = v
	}
	e.do("launch", args)
	e.event("initialized")
	return init
}

func (e *editor) stack(tid int) []dap.StackFrame {
	e.t.Helper()
	return e.do("stackTrace", map[string]any{"threadId": tid}).(*dap.StackTraceResponse).Body.StackFrames
}

func (e *editor) variables(ref int) map[string]dap.Variable {
	e.t.Helper()
	out := map[string]dap.Variable{}
	for _, v := range e.do("variables", map[string]any{"variablesReference": ref}).(*dap.VariablesResponse).Body.Variables {
		out[v.Name] = v
	}
	return out
}

func (e *editor) eval(expr string, frame int) string {
	e.t.Helper()
	return e.do("evaluate", map[string]any{"expression": expr, "frameId": frame, "context": "watch"}).(*dap.EvaluateResponse).Body.Result
}

func (e *editor) breakpoints(path string, list ...dap.SourceBreakpoint) []dap.Breakpoint {
	e.t.Helper()
	return e.do("setBreakpoints", map[string]any{"source": map[string]any{"path": path}, "breakpoints": list}).(*dap.SetBreakpointsResponse).Body.Breakpoints
}

// leave ends the debugging and waits for the end of pyrr dap.
func (e *editor) leave() {
	e.t.Helper()
	e.do("disconnect", nil)
	for range e.msgs {
	}
	if e.cmd != nil {
		if err := e.cmd.Wait(); err != nil {
			e.t.Errorf("pyrr dap: %v\n%s", err, e.errs.String())
		}
	}
}
