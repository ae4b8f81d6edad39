package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"pyrr/internal/backtrace"
	"pyrr/internal/cli"
	"pyrr/internal/console"
	"pyrr/internal/dap"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/replay"
)

func dapCommand() *cli.Command {
	return &cli.Command{
		Name:        "dap",
		Synopsis:    "[--listen ADDR]",
		Short:       "let an editor travel through a recording",
		Interactive: true,
		Long: `Speaks the Debug Adapter Protocol, so that VS Code, Neovim and others debug a
recording: breakpoints in Python with conditions, hit counts and log messages,
exceptions, stepping, and all of that backwards too. The sources are those in the
recording: what ran, not what is on the disk now.

The editor starts it and talks to it through standard input and output, or
connects to the address that --listen gives; only this machine can. Its launch
configuration names the recording:

  {"type": "pyrr", "request": "launch", "recording": "app.pyrr.zip"}

docs/editors.md says how to set editors up, and what else a launch configuration
may have.`,
		Examples: []cli.Example{
			{"pyrr dap", "as an editor starts it"},
			{"pyrr dap --listen :4711", "wait for editors at a port"},
		},
		Exits: []cli.Exit{
			{"0", "the editor has left"},
			{"2", "usage error"},
			{"3", "what came was not the protocol"},
		},
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			listen := fs.String("listen", "", "wait for editors at `ADDR`: HOST:PORT or :PORT of this machine")
			return func(_ context.Context, u *screen.UI, args []string) error {
				if len(args) > 0 {
					return hint.Usagef("dap: takes no arguments; the launch configuration names the recording")
				}
				if *listen == "" {
					return serveEditor(u, os.Stdin, u.Out)
				}
				return listenForEditors(u, *listen)
			}
		},
	}
}

func serveEditor(u *screen.UI, in io.Reader, out io.Writer) error {
	s := &dap.Server{Open: func(l *dap.Launch, o replay.Options) (*dap.Target, error) { return dapTarget(u, l, o) }}
	return s.Serve(in, out)
}

// listenForEditors serves each one that connects.
func listenForEditors(u *screen.UI, addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return hint.Usagef("dap: --listen %s: HOST:PORT or :PORT", addr)
	}
	if host == "" {
		addr = "127.0.0.1" + addr
	} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return hint.Usagef("dap: --listen %s: whoever connects can look into recordings, so only addresses of this machine (127.0.0.1) will do", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for editors: %w", err)
	}
	defer l.Close()
	u.Note("waiting for editors at %s", l.Addr())
	for {
		conn, err := l.Accept()
		if err != nil {
			return fmt.Errorf("wait for editors: %w", err)
		}
		go func() {
			defer conn.Close()
			if err := serveEditor(u, conn, conn); err != nil {
				u.Warn(err.Error())
			}
		}()
	}
}

// dapTarget opens a recording for an editor.
func dapTarget(u *screen.UI, l *dap.Launch, o replay.Options) (*dap.Target, error) {
	rec, err := find.Open("dap", l.Recording)
	if err != nil {
		if abs, aerr := filepath.Abs(l.Recording); aerr == nil && abs != l.Recording {
			err = fmt.Errorf("%w (in %s)", err, filepath.Dir(abs))
		}
		return nil, err
	}
	// What the console prints is for the editor's own console.
	c, err := newConsole(&screen.UI{Out: io.Discard, Err: u.Err, StatusWidth: u.StatusWidth}, rec, console.Options{Replay: o})
	if err != nil {
		rec.Close()
		return nil, show.ReplayFailed(err, l.Recording)
	}
	t := &dap.Target{
		Session:   c.Session(),
		Recording: rec,
		Frames:    func(tid int32) ([]dap.Frame, error) { return dapFrames(c, tid) },
		Goto:      c.Goto,
		Command:   c.Typed,
		Complete:  c.Complete,
		Describe:  func(ev *recording.Event) string { return printable.Line(eventLine(ev)) },
		Close:     func() { c.Close(); rec.Close() },
	}
	id := l.Process
	if id == 0 {
		id = firstPython(rec)
	}
	if !slices.ContainsFunc(c.Session().Procs(), func(p recording.Process) bool { return p.ID == id }) {
		t.Close()
		return nil, fmt.Errorf("the recording has no process %d; it has %s", id, printable.Plural(uint64(len(c.Session().Procs())), "process", "processes"))
	}
	if id != c.Session().Proc().ID {
		if err := c.Select(id); err != nil {
			t.Close()
			return nil, show.ReplayFailed(err, l.Recording)
		}
	}
	return t, nil
}

// firstPython returns the first process that runs Python, else the first.
func firstPython(rec *recording.Recording) int {
	procs, err := rec.Procs()
	if err != nil || len(procs) == 0 {
		return 1
	}
	for _, p := range procs {
		if p.Python != "" {
			return p.ID
		}
		it, err := rec.Events(p.ID)
		if err != nil {
			continue
		}
		it.Brief()
		found := false
		var ev recording.Event
		// The interpreter is known before its first thousands of events.
		for n := 0; n < 20_000 && !found && it.Next(&ev) == nil; n++ {
			_, found = ev.ClockStarts()
		}
		it.Close()
		if found {
			return p.ID
		}
	}
	return procs[0].ID
}

func dapFrames(c *console.Console, tid int32) ([]dap.Frame, error) {
	frames, err := c.Frames(tid)
	if err != nil && len(frames) == 0 {
		return nil, err
	}
	var out []dap.Frame
	for i := range frames {
		f := &frames[i]
		text := ""
		if f.Python == nil {
			text = printable.Line(backtrace.FunctionText(f))
		}
		out = append(out, dap.Frame{Frame: f.Frame, PC: f.PC, Text: text, Python: f.Python})
	}
	return out, nil
}
