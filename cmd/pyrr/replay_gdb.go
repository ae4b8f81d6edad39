package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"pyrr/internal/cli"
	"pyrr/internal/console"
	"pyrr/internal/gdbserver"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
)

// gdbMonitorHook makes gdb look again after a monitor command: such a command
// may have gone elsewhere, and gdb would keep the registers and not know the
// libraries. Where it has not, the same frame stays selected. Before version
// 11 gdb had another name for the command, and frames had no number.
const gdbMonitorHook = `
def pyrr_do(command):
    try:
        gdb.execute(command, to_string=True)
        return True
    except gdb.error:
        return False
def pyrr_look():
    try:
        level, pc = gdb.selected_frame().level(), gdb.newest_frame().pc()
    except (gdb.error, AttributeError):
        level, pc = 0, None
    if not pyrr_do("maintenance flush register-cache"):
        pyrr_do("flushregs")
    pyrr_do("sharedlibrary")
    try:
        if level and gdb.newest_frame().pc() == pc:
            pyrr_do("frame %d" % level)
    except gdb.error:
        pass
gdb.execute("define hookpost-monitor\npython pyrr_look()\nend")
`

// replayGDB lets gdb travel through a recording: one that it starts itself,
// or one that connects to addr.
func replayGDB(u *screen.UI, rec *recording.Recording, path, addr, at string, process int, commands []string, file string) error {
	c, err := newConsole(u, rec, console.Options{})
	if err != nil {
		return show.ReplayFailed(err, path)
	}
	defer c.Close()
	if process != 0 {
		if err := c.Do(fmt.Sprintf("process %d", process)); err != nil {
			return err
		}
	}
	own := addr == ""
	if own {
		addr = "127.0.0.1:0"
	} else if strings.HasPrefix(addr, ":") {
		addr = "127.0.0.1" + addr
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("listen for gdb: %w", err)
	}
	defer l.Close()
	s := &gdbserver.Server{Session: c.Session(), Recording: rec, Monitor: c.Monitor}
	if !own {
		u.Note("waiting for gdb: target remote %s", l.Addr())
		conn, err := l.Accept()
		if err != nil {
			return fmt.Errorf("wait for gdb: %w", err)
		}
		defer conn.Close()
		return show.ReplayFailed(s.Serve(conn), path)
	}
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		return hint.With(errors.New("there is no gdb on this machine"), "pyrr replay --gdbserver :1234 "+printable.ShellQuote(path))
	}
	args := []string{"-q", "-iex", "set sysroot target:", "-iex", "set breakpoint pending on", "-iex", "set remotetimeout 3600",
		"-iex", fmt.Sprintf("python exec(%q)", gdbMonitorHook), "-ex", "target remote " + l.Addr().String()}
	if at != "" {
		args = append(args, "-ex", "monitor goto "+at)
	}
	for _, cmd := range commands {
		args = append(args, "-ex", cmd)
	}
	if file != "" {
		args = append(args, "-x", file)
	}
	cmd := exec.Command(gdb, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// Ctrl-C is for gdb, which passes it on.
	signal.Ignore(os.Interrupt)
	defer signal.Reset(os.Interrupt)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start gdb: %w", err)
	}
	served := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			served <- nil
			return
		}
		defer conn.Close()
		served <- s.Serve(conn)
	}()
	err = cmd.Wait()
	l.Close()
	if serr := <-served; serr != nil {
		return show.ReplayFailed(serr, path)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return cli.Status(exit.ExitCode())
	}
	return err
}
