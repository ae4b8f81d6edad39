//go:build !linux

package keeping

import (
	"context"

	"github.com/spf13/pflag"

	"pyrr/internal/probe"
	"pyrr/internal/screen"
)

// On other systems and processors pyrr reads recordings. What records says what that
// takes.

// Record says what recording takes.
func Record(context.Context, *screen.UI, *Flags, *pflag.FlagSet, []string) error {
	return probe.Cannot("record")
}

// ServeFinisher says what recording takes.
func ServeFinisher(*Flags, []string) error { return probe.Cannot("record") }

// ProcessArgs is asked before anything is done to a living process.
func ProcessArgs(string, int) ([]string, error) { return nil, probe.Cannot("look at a living process") }
