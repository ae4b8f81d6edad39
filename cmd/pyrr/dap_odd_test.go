//go:build linux && amd64

package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-dap"

	"pyrr/internal/cli"
)

// TestDAPSources holds that an editor is shown what ran: the text in the
// recording, where the file on the disk is a different one or lies elsewhere.
func TestDAPSources(t *testing.T) {
	python := tracedPython(t)
	rec, app := dapRecording(t, python)
	e := startEditor(t)
	moved := filepath.Join(t.TempDir(), "app.py")
	if err := os.Rename(app, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(app, []byte("# another program\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	e.launch(rec, map[string]any{"pathMappings": []any{}, "nativeFrames": true})
	if b := e.breakpoints(moved, dap.SourceBreakpoint{Line: 11})[0]; !b.Verified || !strings.Contains(b.Message, "taken for "+app) {
		t.Errorf("a file that is elsewhere: %+v", b)
	}
	e.breakpoints(moved)
	if b := e.breakpoints(app, dap.SourceBreakpoint{Line: 11})[0]; !b.Verified || !strings.Contains(b.Message, "not the one that ran") {
		t.Errorf("a file that was changed: %+v", b)
	}
	e.do("configurationDone", nil)
	e.event("stopped")
	s := e.move("continue", 0, "breakpoint")
	var native int
	var src *dap.Source
	for _, f := range e.stack(s.Body.ThreadId) {
		switch {
		case f.PresentationHint == "subtle":
			native++
		case f.Name == "double":
			src = f.Source
		}
	}
	if native == 0 {
		t.Error("no C frames")
	}
	if src == nil || src.SourceReference == 0 {
		t.Fatalf("the source is taken from the disk: %+v", src)
	}
	text := e.do("source", map[string]any{"source": src, "sourceReference": src.SourceReference}).(*dap.SourceResponse).Body.Content
	if text != dapProgram {
		t.Errorf("the source is not what ran:\n%s", text)
	}
	if b := e.do("setBreakpoints", map[string]any{"source": src, "breakpoints": []map[string]any{{"line": 12}}}).(*dap.SetBreakpointsResponse).Body.Breakpoints[0]; !b.Verified {
		t.Errorf("a breakpoint in it: %+v", b)
	}
	e.fails("source", map[string]any{"sourceReference": 100000}, "no source")
	var lines []int
	for _, l := range e.do("breakpointLocations", map[string]any{"source": src, "line": 9, "endLine": 13}).(*dap.BreakpointLocationsResponse).Body.Breakpoints {
		lines = append(lines, l.Line)
	}
	if len(lines) != 3 || lines[0] != 10 {
		t.Errorf("lines with code of 9 to 13: %v", lines)
	}
	found := false
	for _, l := range e.do("loadedSources", nil).(*dap.LoadedSourcesResponse).Body.Sources {
		found = found || strings.HasSuffix(l.Path, "/threading.py")
	}
	if !found {
		t.Error("threading.py is not a loaded source")
	}
	e.leave()
}

// TestDAPEvil sends what no editor should.
func TestDAPEvil(t *testing.T) {
	e := startEditor(t)
	raw := func(body string) {
		t.Helper()
		if err := dap.WriteBaseMessage(e.in, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string) {
		t.Helper()
		for {
			r, ok := e.next().(dap.ResponseMessage)
			if ok {
				if m := r.GetResponse(); m.Success || !strings.Contains(m.Message, want) {
					t.Errorf("answered %v %q, want %q", m.Success, m.Message, want)
				}
				return
			}
		}
	}
	for _, c := range []struct{ body, want string }{
		{"not json", "can't be read"},
		{"{}", "can't be read"},
		{"[1,2]", "can't be read"},
		{`{"seq":99999999999999999999999999,"type":"request","command":"threads"}`, "seq"},
		{`{"seq":"one","type":"request","command":"threads"}`, "seq"},
		{`{"seq":1,"type":"request","command":"dance"}`, "dance is not supported"},
		{`{"seq":1,"type":"event","event":"stopped"}`, "can't be read"},
		{`{"seq":1,"type":"request","command":"launch","arguments":[]}`, "can't be read"},
		{`{"seq":1,"type":"request","command":"launch"}`, "names no recording"},
		{`{"seq":1,"type":"request","command":"launch","arguments":{"recording":"/dev/null"}}`, ""},
		{`{"seq":1,"type":"request","command":"variables","arguments":{"variablesReference":"x"}}`, "can't be read"},
		{`{"seq":1,"type":"request","command":"` + strings.Repeat("x", 100000) + `"}`, "not supported"},
		{strings.Repeat("[", 100000), "can't be read"},
	} {
		raw(c.body)
		refused(c.want)
	}
	for _, c := range []string{"threads", "stackTrace", "scopes", "variables", "continue", "next", "stepBack", "pause", "evaluate", "setBreakpoints", "setFunctionBreakpoints",
		"setExceptionBreakpoints", "configurationDone", "source", "loadedSources", "breakpointLocations", "exceptionInfo", "restart", "pyrr/goto", "pyrr/when", "pyrr/events"} {
		e.fails(c, map[string]any{}, "no recording was launched")
	}
	e.fails("launch", map[string]any{"recording": "/nowhere/x.pyrr.zip"}, "there is no recording")
	if said := e.output["console"]; !strings.Contains(said, "pyrr: hint: pyrr ") {
		t.Errorf("the debug console says %q, and not what helps", said)
	}
	if _, err := e.in.Write([]byte("GET / HTTP/1.1\r\nHost: here\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	for range e.msgs {
	}
	e.cmd.Wait()
	if code := e.cmd.ProcessState.ExitCode(); code != cli.ExitUnjudged || !strings.Contains(e.errs.String(), "not the Debug Adapter Protocol") {
		t.Errorf("exit status %d, errors %q", code, e.errs.String())
	}

	for _, text := range []string{"Content-Length: 99999999999\r\n\r\n", "Content-Length: -1\r\n\r\n", strings.Repeat("x", 1<<16), "\r\n\r\n", "Content-Length: 10\r\n\r\n{"} {
		e := startEditor(t)
		e.in.Write([]byte(text)) // pyrr dap may have ended before all is written
		e.in.Close()
		for range e.msgs {
		}
		e.cmd.Wait()
		if code := e.cmd.ProcessState.ExitCode(); code != cli.ExitUnjudged {
			t.Errorf("%.30q: exit status %d\n%s", text, code, e.errs.String())
		}
	}
}

// TestDAPListen lets two editors connect to one port, one after the other.
func TestDAPListen(t *testing.T) {
	if status, _, errs := capturePyrr("dap", "--listen", "192.0.2.1:0"); status != cli.ExitUsage || !strings.Contains(errs, "only addresses of this machine") {
		t.Errorf("another machine's address: status %d, %s", status, errs)
	}
	rec := consoleRecording(t)
	cmd := exec.Command(os.Args[0], "dap", "--listen", "127.0.0.1:0")
	cmd.Args[0] = "pyrr"
	line, err := firstLine(t, cmd, cmd.StderrPipe)
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "editors at ")
	if err != nil || !ok {
		t.Fatalf("%q, %v", line, err)
	}
	for range 2 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		e := connectEditor(t, conn)
		e.launch(rec, map[string]any{"stopOnEntry": false})
		e.breakpoints("app.py", dap.SourceBreakpoint{Line: 4})
		e.do("configurationDone", nil)
		if s := e.event("stopped").(*dap.StoppedEvent); s.Body.Reason != "breakpoint" {
			t.Errorf("stopped: %+v", s.Body)
		}
		e.leave()
		conn.Close()
	}
}
