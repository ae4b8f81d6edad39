// Package answer prints the answers to questions about a recording as they come.
//
// It finds none of them: package ask does. Begin with PrintValues.
package answer

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"pyrr/internal/ask"
	"pyrr/internal/find"
	"pyrr/internal/hint"
	"pyrr/internal/listing"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// answers prints the answers to a question as they come: at once, if none came for
// a while. What takes more than a second gets a line that says so.
type answers struct {
	u *screen.UI

	Mu    sync.Mutex
	w     *bufio.Writer
	enc   *json.Encoder
	last  time.Time
	begun *time.Timer
	said  bool
	ended bool
	done  map[int]uint64 // instructions, by process
	paths stack.Paths    // of the recording at hand
	text  stack.SourceText
}

// sayAfter is when a line says what takes long, flushAfter how long an answer may
// lie in a buffer while others come.
const (
	sayAfter   = time.Second
	flushAfter = 50 * time.Millisecond
	// statusEvery is how often the status is set then.
	statusEvery = 200 * time.Millisecond
)

func NewAnswers(u *screen.UI, rec *recording.Recording) *answers {
	a := &answers{u: u, w: bufio.NewWriterSize(u.Out, 64<<10), paths: stack.Paths{Root: rec.Header().Cwd}}
	a.enc = json.NewEncoder(screen.NewJSONWriter(a.w))
	a.enc.SetEscapeHTML(false)
	return a
}

// Replaying says after a second that a recording is being replayed, and from then on how
// far that has come: on a terminal as it goes, else now and then.
func (a *answers) Replaying(rec *recording.Recording, path string) {
	total := uint64(0)
	if sum, ok := rec.Summary(); ok {
		total = sum.Instructions
	}
	text := func() string {
		if total == 0 {
			return "replaying " + path
		}
		done := uint64(0)
		for _, n := range a.done {
			done += n
		}
		return fmt.Sprintf("replaying %s: %d %% of %s", path, min(100, done*100/total), printable.Plural(total, "instruction", "instructions"))
	}
	a.begun = time.AfterFunc(sayAfter, func() {
		a.Mu.Lock()
		defer a.Mu.Unlock()
		switch {
		case a.ended:
			return
		case a.u.Live:
			a.u.Status("%s", text())
		case a.last.IsZero() && !a.said:
			a.said = true
			a.u.Note("… %s", text())
		default:
			a.u.Status("%s", text()) // without a terminal, a line every ten seconds
		}
		a.begun.Reset(statusEvery)
	})
}

// Progress notes how far the replay of a process has come.
func (a *answers) Progress(proc int, instr uint64) {
	a.Mu.Lock()
	defer a.Mu.Unlock()
	if a.done == nil {
		a.done = map[int]uint64{}
	}
	a.done[proc] = instr
}

// put calls f to write an answer.
func (a *answers) put(f func(w io.Writer) error) error {
	a.Mu.Lock()
	defer a.Mu.Unlock()
	a.u.ClearStatus()
	if err := f(a.w); err != nil {
		return err
	}
	if now := time.Now(); now.Sub(a.last) > flushAfter {
		a.last = now
		return a.w.Flush()
	}
	return nil
}

// end writes what is left.
func (a *answers) end() error {
	a.Stop()
	a.Mu.Lock()
	defer a.Mu.Unlock()
	return a.w.Flush()
}

// Stop ends the status.
func (a *answers) Stop() {
	a.Mu.Lock()
	defer a.Mu.Unlock()
	if a.ended = true; a.begun != nil {
		a.begun.Stop()
	}
	a.u.ClearStatus()
}

// jsonMoment is a moment in the JSON form of questions.
type jsonMoment struct {
	Process     int     `json:"process"`
	Instruction uint64  `json:"instruction"`
	Event       uint64  `json:"event"`
	Time        float64 `json:"time"`
	Thread      int32   `json:"thread"`
	ThreadName  string  `json:"threadName,omitempty"`
	File        string  `json:"file,omitempty"`
	Line        int     `json:"line,omitempty"`
	Func        string  `json:"function,omitempty"`
}

func newJSONMoment(m *ask.Moment) jsonMoment {
	return jsonMoment{m.Process, m.Pos.Instr, m.Pos.Event, float64(m.Time) / 1e9, m.TID, m.Thread, m.File, m.Line, m.Func}
}

// askFailed puts the error of a question in the words of the command.
func askFailed(command string, err error, path string) error {
	if wrong, ok := errors.AsType[*ask.UsageError](err); ok {
		return hint.Usagef("%s: %v", command, wrong)
	}
	return show.ReplayFailed(err, path)
}

// describeCall is what questions print of a system call.
func describeCall(ev, enter *recording.Event) string {
	return printable.Line(listing.NewView(ev, enter, nil).Text)
}

// openReplayable opens the recording that a command was given, if this machine can
// replay it.
func openReplayable(command, name string) (*recording.Recording, string, error) {
	rec, path, err := find.One(command, []string{name})
	if err != nil {
		return nil, "", err
	}
	if err := replay.Able(rec); err != nil {
		rec.Close()
		return nil, "", err
	}
	return rec, path, nil
}
