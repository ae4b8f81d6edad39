package stackwalk

import (
	"errors"

	"pyrr/internal/recording"
)

// TestProcess is the process that a recording of a test is of.
const TestProcess = 1

// AfterImage is the number of the first event that follows those which
// describe the image that the recording of a process begins with.
func AfterImage(rec *recording.Recording, proc int) (uint64, error) {
	it, err := rec.Events(proc)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	it.Brief()
	var ev recording.Event
	for {
		n := it.Number()
		if err := it.Next(&ev); err != nil {
			return 0, err
		}
		switch ev.Kind {
		case recording.KindStart, recording.KindThread, recording.KindWrite:
		case recording.KindEnd:
			return 0, errors.New("nothing happens in it")
		default:
			return n, nil
		}
	}
}
