package replay

import (
	"errors"
	"strings"

	"pyrr/internal/hint"
	"pyrr/internal/inject"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
)

// Able says before the start why a recording can't be replayed: it has no
// memory, this is no Linux on x86-64, or this processor lacks something.
func Able(rec *recording.Recording) error {
	if rec.Header().Form == recording.FormIndex {
		return hint.With(errors.New("this recording was packed without memory, so it can't be replayed; events, stacks and output can be read"), "pyrr events RECORDING", "pyrr explain RECORDING")
	}
	if probe.Elsewhere {
		return probe.Cannot("replay")
	}
	if lacking := inject.Host().Missing(rec.Header().Host.Features); len(lacking) > 0 {
		return hint.Machinef("this processor lacks what the recording needs: %s", strings.Join(lacking, ", "))
	}
	return nil
}
