package report

import "io"

// Recording is what the page about one recording shows. Its texts are the
// program's own; the page makes them harmless.
type Recording struct {
	Title, Summary string
	Facts          []Fact
	Threads        []ThreadAtEnd // the one that hung first
	Events         []EventLine   // the last ones
	Shown          string        // how many these are, of how many
	Commands       []string
}

// Fact is a line about a recording.
type Fact struct{ Name, Value string }

// ThreadAtEnd is a thread that was still there at the end.
type ThreadAtEnd struct {
	Title, Waits, Call, Note, Err string
	Open                          bool
	Frames                        []FrameWithSource
}

// FrameWithSource is a frame with the lines around its own, where there are any.
type FrameWithSource struct {
	Kind, Func, Place string
	Own               bool // of the project, not of a library
	Open              bool
	Source            []SourceLine
}

// SourceLine is a line of a Python file; Here is where the frame stands.
type SourceLine struct {
	Number, Text string
	Here         bool
}

// EventLine is an event of a recording.
type EventLine struct{ At, Time, Thread, Event, Place, Func string }

// RecordingHTML prints a recording as one page that needs nothing else.
func RecordingHTML(w io.Writer, r *Recording) error {
	c := *r
	c.Title, c.Summary = clean(c.Title), clean(c.Summary)
	for i := range c.Facts {
		c.Facts[i].Value = clean(c.Facts[i].Value)
	}
	for i := range c.Threads {
		t := &c.Threads[i]
		t.Title, t.Waits, t.Call, t.Note, t.Err = clean(t.Title), clean(t.Waits), clean(t.Call), clean(t.Note), clean(t.Err)
		for k := range t.Frames {
			f := &t.Frames[k]
			f.Func, f.Place = clean(f.Func), clean(f.Place)
			for n := range f.Source {
				f.Source[n].Text = clean(f.Source[n].Text)
			}
		}
	}
	for i := range c.Events {
		e := &c.Events[i]
		e.Thread, e.Event, e.Place, e.Func = clean(e.Thread), clean(e.Event), clean(e.Place), clean(e.Func)
	}
	return parsePage(recordingPage).Execute(w, &c)
}
