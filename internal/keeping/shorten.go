package keeping

import (
	"errors"
	"fmt"
	"io"

	"pyrr/internal/hiding"
	"pyrr/internal/logview"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/stackwalk"
	"pyrr/replay"
)

// ShortenInto writes the recording of a test, cut, to the folder dir. from is
// the event at which its test begins, 0 where nothing comes before it.
func ShortenInto(rec *recording.Recording, dir string, from uint64) error {
	const first = stackwalk.TestProcess
	var err error
	if from == 0 {
		if from, err = stackwalk.AfterImage(rec, first); err != nil {
			return err
		}
	}
	o := replay.Options{}
	index, err := stackwalk.NewIndexer(rec, stackwalk.FromRecording)
	if err != nil {
		return err
	}
	defer index.Abort()
	index.Alone = true // what is read is noted
	o.OnEvent = func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		// What was read before the cut need not be read again, but whoever
		// opens the new recording has read nothing yet.
		start := p.Info.ID == first && (p.Number == from || p.Number == from+1)
		if start {
			index.Forget(p)
		}
		if err := index.Event(p, t, ev); err != nil {
			return err
		}
		if start || ev.Kind == recording.KindTimeout || ev.Kind == recording.KindEnd {
			index.ReadAll(p)
		}
		return nil
	}
	view, err := logview.At(rec, first, from)
	if err != nil {
		return err
	}
	o.OnLast = index.Last
	return replay.Shorten(rec, dir, first, from, view.OpenFDs(first), o)
}

// TestBegins finds the event at which the test of a recording begins.
func TestBegins(rec *recording.Recording) (uint64, error) {
	it, err := rec.Events(stackwalk.TestProcess)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	var ev recording.Event
	for {
		n := it.Number()
		if err := it.Next(&ev); errors.Is(err, io.EOF) {
			return 0, nil
		} else if err != nil {
			return 0, err
		}
		if ev.Kind == recording.KindNote && ev.Why == recording.MarkTestStart && ev.Text == rec.Header().Test {
			return n, nil
		}
	}
}

// OnlyIndex says why a recording can go without its memory only, "" where
// that is no way out.
func OnlyIndex(err error) string {
	if s, ok := errors.AsType[*hiding.SurvivorError](err); ok {
		return s.Error()
	}
	if d, ok := errors.AsType[*replay.Divergence](err); ok {
		return fmt.Sprintf("the program does something else with the placeholders of its secrets, at instruction %s of process %d", printable.Grouped(d.Pos.Instr), d.Process)
	}
	return ""
}
