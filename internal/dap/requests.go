package dap

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-dap"

	"pyrr/replay"
)

// take handles a request, or puts it aside while the process runs.
func (s *Server) take(m message) {
	if m.err != nil {
		s.refuse(&m, fmt.Errorf("this request can't be read: %w", m.err))
		return
	}
	if s.running {
		switch m.req.(type) {
		case *dap.PauseRequest, *dap.DisconnectRequest, *dap.TerminateRequest, *dap.InitializeRequest, *dap.ThreadsRequest:
		case *dap.SetBreakpointsRequest, *dap.SetFunctionBreakpointsRequest, *dap.SetExceptionBreakpointsRequest:
			// Breakpoints can be changed while it runs: it is stopped for that.
			s.held = append(s.held, m)
			if s.last.plain() {
				s.goOn = true
				s.x.Interrupt()
			}
			return
		case *dap.ConfigurationDoneRequest, *dap.SourceRequest, *dap.LoadedSourcesRequest, *dap.BreakpointLocationsRequest:
		default:
			s.refuse(&m, errors.New("the process is running; pause it first"))
			return
		}
	}
	if err := s.handle(&m); err != nil {
		s.refuse(&m, err)
	}
}

var errNotLaunched = errors.New("no recording was launched yet")

// handle answers a request, or returns why it can't be.
func (s *Server) handle(m *message) error {
	switch req := m.req.(type) {
	case *dap.InitializeRequest:
		return s.initialize(m)
	case *dap.LaunchRequest:
		return s.launched(m, req.Arguments)
	case *dap.AttachRequest:
		return s.launched(m, req.Arguments)
	case *dap.DisconnectRequest:
		s.stopRunning()
		s.send(&dap.DisconnectResponse{Response: m.answer()})
		s.over = true
		return nil
	case *dap.TerminateRequest:
		s.stopRunning()
		s.send(&dap.TerminateResponse{Response: m.answer()})
		s.send(&dap.TerminatedEvent{Event: event("terminated")})
		return nil
	}
	if s.t == nil {
		return errNotLaunched
	}
	switch req := m.req.(type) {
	case *dap.ConfigurationDoneRequest:
		s.send(&dap.ConfigurationDoneResponse{Response: m.answer()})
		if !s.ready {
			s.ready = true
			s.begin()
		}
	case *dap.RestartRequest:
		s.send(&dap.RestartResponse{Response: m.answer()})
		s.restart()
	case *dap.SetBreakpointsRequest:
		r := &dap.SetBreakpointsResponse{Response: m.answer()}
		r.Body.Breakpoints = s.setBreakpoints(&req.Arguments)
		s.send(r)
	case *dap.SetFunctionBreakpointsRequest:
		r := &dap.SetFunctionBreakpointsResponse{Response: m.answer()}
		r.Body.Breakpoints = s.setFunctions(req.Arguments.Breakpoints)
		s.send(r)
	case *dap.SetExceptionBreakpointsRequest:
		r := &dap.SetExceptionBreakpointsResponse{Response: m.answer()}
		r.Body.Breakpoints = s.setExceptions(&req.Arguments)
		s.send(r)
	case *dap.BreakpointLocationsRequest:
		return s.locations(m, req.Arguments)
	case *dap.SourceRequest:
		return s.source(m, &req.Arguments)
	case *dap.LoadedSourcesRequest:
		r := &dap.LoadedSourcesResponse{Response: m.answer()}
		r.Body.Sources = s.src.all()
		s.send(r)
	case *dap.ThreadsRequest:
		return s.threads(m)
	default:
		if !s.ready {
			return errors.New("the configuration is not done yet")
		}
		return s.handleStopped(m)
	}
	return nil
}

// handleStopped answers requests that need a process that stands.
func (s *Server) handleStopped(m *message) error {
	switch req := m.req.(type) {
	case *dap.ContinueRequest:
		r := &dap.ContinueResponse{Response: m.answer()}
		r.Body.AllThreadsContinued = true
		s.send(r)
		s.run(&run{kind: "continue"})
	case *dap.ReverseContinueRequest:
		s.send(&dap.ReverseContinueResponse{Response: m.answer()})
		s.run(&run{kind: "reverseContinue", back: true})
	case *dap.NextRequest:
		s.send(&dap.NextResponse{Response: m.answer()})
		s.run(&run{kind: "next", tid: req.Arguments.ThreadId})
	case *dap.StepInRequest:
		s.send(&dap.StepInResponse{Response: m.answer()})
		s.run(&run{kind: "stepIn", tid: req.Arguments.ThreadId})
	case *dap.StepOutRequest:
		s.send(&dap.StepOutResponse{Response: m.answer()})
		s.run(&run{kind: "stepOut", tid: req.Arguments.ThreadId})
	case *dap.StepBackRequest:
		s.send(&dap.StepBackResponse{Response: m.answer()})
		s.run(&run{kind: "stepBack", tid: req.Arguments.ThreadId, back: true})
	case *dap.PauseRequest:
		s.send(&dap.PauseResponse{Response: m.answer()})
		if s.running {
			s.goOn = false
			s.x.Interrupt()
		}
	case *dap.StackTraceRequest:
		return s.stackTrace(m, &req.Arguments)
	case *dap.ScopesRequest:
		return s.scopes(m, req.Arguments.FrameId)
	case *dap.VariablesRequest:
		return s.variables(m, &req.Arguments)
	case *dap.EvaluateRequest:
		return s.evaluate(m, &req.Arguments)
	case *dap.CompletionsRequest:
		return s.completions(m, &req.Arguments)
	case *dap.ExceptionInfoRequest:
		return s.exceptionInfo(m)
	case *GotoRequest:
		return s.gotoPlace(m, req)
	case *EventsRequest:
		return s.events(m, req)
	case *WhenRequest:
		return s.when(m)
	default:
		return fmt.Errorf("%s is not supported", cut(m.cmd, 60))
	}
	return nil
}

func (s *Server) initialize(m *message) error {
	var args struct {
		Arguments struct {
			LinesStartAt1 *bool  `json:"linesStartAt1"`
			PathFormat    string `json:"pathFormat"`
		} `json:"arguments"`
	}
	if err := json.Unmarshal(m.raw, &args); err != nil {
		return err
	}
	if f := args.Arguments.PathFormat; f != "" && f != "path" {
		return fmt.Errorf("paths as %q are not supported", cut(f, 40))
	}
	s.base = 1
	if l := args.Arguments.LinesStartAt1; l != nil && !*l {
		s.base = 0
	}
	r := &dap.InitializeResponse{Response: m.answer()}
	r.Body = dap.Capabilities{
		SupportsConfigurationDoneRequest:   true,
		SupportsFunctionBreakpoints:        true,
		SupportsConditionalBreakpoints:     true,
		SupportsHitConditionalBreakpoints:  true,
		SupportsLogPoints:                  true,
		SupportsEvaluateForHovers:          true,
		SupportsCompletionsRequest:         true,
		CompletionTriggerCharacters:        []string{"."},
		SupportsStepBack:                   true,
		SupportsRestartRequest:             true,
		SupportsLoadedSourcesRequest:       true,
		SupportsBreakpointLocationsRequest: true,
		SupportsExceptionInfoRequest:       true,
		SupportsExceptionFilterOptions:     true,
		SupportsTerminateRequest:           true,
		SupportsDelayedStackTraceLoading:   true,
		ExceptionBreakpointFilters: []dap.ExceptionBreakpointsFilter{
			{Filter: "raised", Label: "Raised Exceptions", Description: "Where an exception is raised, caught or not", SupportsCondition: true, ConditionDescription: "names of classes, with commas: ValueError, OSError"},
			{Filter: "uncaught", Label: "Uncaught Exceptions", Description: "Where an exception was raised that nothing caught", Default: true},
		},
	}
	s.send(r)
	return nil
}

// launched opens the recording.
func (s *Server) launched(m *message, args json.RawMessage) error {
	if s.t != nil {
		return errors.New("a recording was launched already")
	}
	var l Launch
	if len(args) == 0 {
		args = json.RawMessage("{}")
	}
	if err := json.Unmarshal(args, &l); err != nil {
		return fmt.Errorf("the launch configuration can't be read: %w", err)
	}
	if l.Recording == "" {
		return errors.New(`the launch configuration names no recording: "recording": "path/to/NAME.pyrr.zip"`)
	}
	for _, p := range l.PathMappings {
		if p.LocalRoot == "" || p.RemoteRoot == "" {
			return errors.New("each of pathMappings needs a localRoot and a remoteRoot")
		}
	}
	t, err := s.Open(&l, replay.Options{OnOutput: s.output.take})
	if err != nil {
		return err
	}
	s.launch, s.t, s.x = l, t, t.Session
	texts, err := t.Recording.Sources()
	if err != nil {
		s.say("stderr", "The sources in the recording can't be read: %v\n", err)
	}
	s.src = newSources(texts, l.PathMappings, t.Session.Proc().Cwd)
	switch r := m.req.(type) {
	case *dap.AttachRequest:
		s.send(&dap.AttachResponse{Response: m.answer()})
	default:
		_ = r
		s.send(&dap.LaunchResponse{Response: m.answer()})
	}
	p := &dap.ProcessEvent{Event: event("process")}
	info := t.Session.Proc()
	p.Body.Name, p.Body.StartMethod, p.Body.PointerSize = strings.Join(info.Argv, " "), "launch", 64
	s.send(p)
	s.send(&dap.InitializedEvent{Event: event("initialized")})
	return nil
}

// fail ends the debugging when the replay can't go on.
func (s *Server) fail(err error) {
	s.say("stderr", "The replay can't go on: %v\n", err)
	s.send(&dap.TerminatedEvent{Event: event("terminated")})
}

// readable says whether a file of this machine has a text.
func readable(path string, text []byte) bool {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() || st.Size() != int64(len(text)) {
		return false
	}
	b, err := os.ReadFile(path)
	return err == nil && string(b) == string(text)
}
