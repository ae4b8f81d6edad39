package main

import (
	"io"

	"pyrr/internal/console"
	"pyrr/internal/recording"
)

// newConsole begins a session on a recording that can be replayed here.
func newConsole(u *ui, rec *recording.Recording, o console.Options) (*console.Console, error) {
	if err := canReplay(rec); err != nil {
		return nil, err
	}
	o.Out, o.Describe = u.Out, eventLine
	return console.New(rec, o)
}

// eventLine says in one line what an event is.
func eventLine(ev *recording.Event) string { return newView(ev, nil, nil).Text }

// runConsole runs the commands of the flags, then those of the user.
func runConsole(u *ui, rec *recording.Recording, path string, o console.Options, commands []string, in io.Reader) error {
	c, err := newConsole(u, rec, o)
	if err != nil {
		return replayFailed(err, path)
	}
	defer c.Close()
	if err := c.Run(commands, in); err != nil {
		return replayFailed(err, path)
	}
	return nil
}
