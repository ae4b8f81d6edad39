//go:build !linux || !amd64

package main

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/assert"
	"pyrr/internal/probe"
	"pyrr/internal/screen"
)

// On other systems and processors pyrr reads recordings. What records says what that
// takes; what replays is refused by canReplay.

func record(context.Context, *screen.UI, *recordFlags, *pflag.FlagSet, []string) error {
	return probe.Cannot("record")
}

func serveFinisher(*recordFlags, []string) error { return probe.Cannot("record") }

// processArgs is asked before anything is done to a living process.
func processArgs(string, int) ([]string, error) { return nil, probe.Cannot("look at a living process") }

func recordForSpec(*screen.UI) func(context.Context, string, assert.RecordCommand) (string, func(), error) {
	return func(context.Context, string, assert.RecordCommand) (string, func(), error) {
		return "", nil, probe.Cannot("record")
	}
}
