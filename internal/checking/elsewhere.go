//go:build !linux

package checking

import (
	"context"

	"pyrr/assert"
	"pyrr/internal/probe"
	"pyrr/internal/screen"
)

func recordForSpec(*screen.UI) func(context.Context, string, assert.RecordCommand) (string, func(), error) {
	return func(context.Context, string, assert.RecordCommand) (string, func(), error) {
		return "", nil, probe.Cannot("record")
	}
}
