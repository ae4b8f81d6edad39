package main

import (
	"io"

	"pyrr/internal/console"
	"pyrr/internal/listing"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/replay"
)

// newConsole begins a session on a recording that can be replayed here.
func newConsole(u *screen.UI, rec *recording.Recording, o console.Options) (*console.Console, error) {
	if err := replay.Able(rec); err != nil {
		return nil, err
	}
	o.Out, o.Describe = u.Out, eventLine
	return console.New(rec, o)
}

// eventLine says in one line what an event is.
func eventLine(ev *recording.Event) string { return listing.NewView(ev, nil, nil).Text }

// runConsole runs the commands of the flags, then those of the user.
func runConsole(u *screen.UI, rec *recording.Recording, path string, o console.Options, commands []string, in io.Reader) error {
	c, err := newConsole(u, rec, o)
	if err != nil {
		return show.ReplayFailed(err, path)
	}
	defer c.Close()
	if err := c.Run(commands, in); err != nil {
		return show.ReplayFailed(err, path)
	}
	return nil
}
