// Package dap is a debug adapter: it lets an editor travel through a recording
// by the Debug Adapter Protocol (its specification, version 1.65), forwards
// and backwards. All positions are those of a session of package replay.
// It never moves a process itself. Begin with Server and its handling of requests
// in this file.
package dap

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-dap"

	"pyrr/cpython"
	"pyrr/internal/hint"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// Launch is what the launch request (or attach, which does the same) says.
type Launch struct {
	// Recording is the path of the recording.
	Recording string `json:"recording"`
	// Process is the number of a process in it; 0 for the first that runs
	// Python.
	Process int `json:"process"`
	// StopOnEntry, true by default, stops at the first line of the program.
	StopOnEntry *bool `json:"stopOnEntry"`
	// JustMyCode, true by default, leaves exceptions that libraries raise out.
	JustMyCode *bool `json:"justMyCode"`
	// NativeFrames shows the C frames too.
	NativeFrames bool `json:"nativeFrames"`
	// PathMappings lead from folders of this machine to those of the recorded.
	PathMappings []PathMapping `json:"pathMappings"`
}

// PathMapping says where a folder of the recorded machine is here.
type PathMapping struct {
	LocalRoot  string `json:"localRoot"`
	RemoteRoot string `json:"remoteRoot"`
}

// Target is a recording that was opened.
type Target struct {
	Session   *replay.Session
	Recording *recording.Recording
	// Frames reads the C and Python stack of a thread, innermost first.
	Frames func(tid int32) ([]Frame, error)
	// Goto goes to a place by its name: a position, N%, eN, start, end.
	Goto func(where string) error
	// Command runs a command of the console and returns what it prints.
	Command func(line string) string
	// Complete lists what a line that was begun for Command may become.
	Complete func(line string) []string
	// Describe is a line about an event.
	Describe func(ev *recording.Event) string
	Close    func()
}

// Frame is a frame of a merged stack; Python is nil for one of C.
type Frame struct {
	stack.Frame
	PC     uint64
	Text   string // how a C frame reads: name and arguments
	Python *cpython.Frame
}

// Server serves one editor.
type Server struct {
	// Open opens a recording; the options are for its session.
	Open func(l *Launch, o replay.Options) (*Target, error)

	wire

	launch  Launch
	t       *Target
	x       *replay.Session // of t
	src     *sources
	base    int // 1, or 0 where the editor counts lines from 0
	ready   bool
	running bool
	done    chan arrival
	last    *run // under way, or the last one
	held    []message
	goOn    bool // what runs was interrupted for held requests alone, and goes on behind them
	bps     breakpoints
	output  outputs
	refs    refs
	known   map[int32]bool // threads that the editor was told of
	why     *arrival       // the last stop
	over    bool
}

// wire is what is written to the editor.
type wire struct {
	mu  sync.Mutex
	out *bufio.Writer
	seq int
	bad error // that of a write
}

// message is a request as it came.
type message struct {
	raw []byte
	req dap.RequestMessage
	err error
	seq int
	cmd string
}

// Limits of what an editor may send.
const (
	maxHeader  = 4 << 10
	maxContent = 4 << 20
)

// Serve talks to an editor until it leaves, or ends the debugging.
func (s *Server) Serve(in io.Reader, out io.Writer) error {
	s.out, s.base = bufio.NewWriter(out), 1
	s.known, s.done = map[int32]bool{}, make(chan arrival, 1)
	s.output.s = s
	requests := make(chan message)
	failed := make(chan error, 1)
	quit := make(chan struct{})
	defer close(quit)
	go func() {
		defer close(requests)
		r := bufio.NewReader(in)
		for {
			m, err := readMessage(r)
			if err != nil {
				failed <- err
				return
			}
			select {
			case requests <- m:
			case <-quit:
				failed <- nil
				return
			}
		}
	}()
	defer s.close()
	for !s.over && s.bad == nil {
		select {
		case m, ok := <-requests:
			if !ok {
				if err := <-failed; !errors.Is(err, io.EOF) {
					return fmt.Errorf("read from the editor: %w", err)
				}
				return nil
			}
			s.take(m)
		case a := <-s.done:
			s.arrived(a)
		}
	}
	return s.bad
}

// close ends the session, when it stands.
func (s *Server) close() {
	if s.t == nil {
		return
	}
	s.stopRunning()
	s.t.Close()
	s.t = nil
}

// readMessage reads one message. An error is one of the stream, which can't
// be read on; what the message lacks is in its err.
func readMessage(r *bufio.Reader) (message, error) {
	length := -1
	for n := 0; ; {
		line, err := r.ReadSlice('\n')
		if n += len(line); err == bufio.ErrBufferFull || n > maxHeader {
			return message{}, errors.New("a header that is too long: this is not the Debug Adapter Protocol")
		}
		if err != nil {
			if err == io.EOF && n > 0 {
				err = io.ErrUnexpectedEOF
			}
			return message{}, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return message{}, fmt.Errorf("%q is not a header: this is not the Debug Adapter Protocol", cut(text, 40))
		}
		if strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || length < 0 || length > maxContent {
				return message{}, fmt.Errorf("a message of %s bytes", cut(strings.TrimSpace(value), 40))
			}
		}
	}
	if length < 0 {
		return message{}, errors.New("a message without a Content-Length")
	}
	m := message{raw: make([]byte, length)}
	if _, err := io.ReadFull(r, m.raw); err != nil {
		return message{}, err
	}
	m.decode()
	return m, nil
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n] + "…"
	}
	return s
}

var codec = sync.OnceValue(newCodec)

func newCodec() *dap.Codec {
	c := dap.NewCodec()
	for name, request := range map[string]func() dap.Message{
		"pyrr/goto":   func() dap.Message { return &GotoRequest{} },
		"pyrr/events": func() dap.Message { return &EventsRequest{} },
		"pyrr/when":   func() dap.Message { return &WhenRequest{} },
	} {
		// Only a name that is taken makes an error.
		_ = c.RegisterRequest(name, request, func() dap.Message { return &dap.Response{} })
	}
	return c
}

func (m *message) decode() {
	var head struct {
		Seq     json.RawMessage `json:"seq"`
		Type    string          `json:"type"`
		Command string          `json:"command"`
	}
	if m.err = json.Unmarshal(m.raw, &head); m.err != nil {
		return
	}
	if m.err = json.Unmarshal(head.Seq, &m.seq); m.err != nil {
		m.err = fmt.Errorf("its seq is not a number: %s", cut(string(head.Seq), 40))
		return
	}
	m.cmd = head.Command
	msg, err := codec().DecodeMessage(m.raw)
	if err != nil {
		if unknown := (*dap.DecodeProtocolMessageFieldError)(nil); errors.As(err, &unknown) {
			err = fmt.Errorf("%s is not supported", cut(m.cmd, 60))
		}
		m.err = err
		return
	}
	if req, ok := msg.(dap.RequestMessage); ok {
		m.req = req
	} else {
		m.err = errors.New("it is not a request")
	}
}

// send writes a message; it may be called on any goroutine.
func (s *Server) send(msg dap.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	switch m := msg.(type) {
	case dap.ResponseMessage:
		m.GetResponse().Seq, m.GetResponse().Type = s.seq, "response"
	case dap.EventMessage:
		m.GetEvent().Seq, m.GetEvent().Type = s.seq, "event"
	}
	if s.bad == nil {
		err := dap.WriteProtocolMessage(s.out, msg)
		if err == nil {
			err = s.out.Flush()
		}
		if err != nil {
			s.bad = fmt.Errorf("write to the editor: %w", err)
		}
	}
}

// event makes the head of an event.
func event(name string) dap.Event { return dap.Event{Event: name} }

// answer makes the head of the response to a request.
func (m *message) answer() dap.Response {
	return dap.Response{RequestSeq: m.seq, Success: true, Command: m.cmd}
}

// refuse answers that a request failed, and says in the debug console what helps.
func (s *Server) refuse(m *message, err error) {
	for _, h := range hint.Of(err) {
		s.say("console", "pyrr: hint: %s\n", h)
	}
	text := err.Error()
	resp := &dap.ErrorResponse{Response: m.answer(), Body: dap.ErrorResponseBody{Error: &dap.ErrorMessage{
		Id: 1, Format: strings.NewReplacer("{", "{{", "}", "}}").Replace(text), ShowUser: m.cmd == "launch" || m.cmd == "attach"}}}
	resp.Success, resp.Message = false, text
	s.send(resp)
}

// say prints a remark in the editor's debug console.
func (s *Server) say(category, format string, args ...any) {
	e := &dap.OutputEvent{Event: event("output")}
	e.Body.Category, e.Body.Output = category, fmt.Sprintf(format, args...)
	s.send(e)
}
