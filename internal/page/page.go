package page

import (
	"io"

	"pyrr/internal/hang"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// DefaultEvents is how many events a page holds unless told otherwise.
const DefaultEvents = 200_000

// maxBlock is how long the compressed block may get, in characters of base64: a
// page is attached to reports and opened from artifacts.
const maxBlock = 7 << 20

// Input is what a page is made of. Its texts may be anything.
type Input struct {
	Rec *recording.Recording
	// Title is the test or the command, Outcome a word or two of how it ended.
	Title, Outcome string
	// Bad says that the outcome is one that somebody wants explained.
	Bad   bool
	Facts []Fact
	Why   *hang.Verdict
	// Explained says that there is something that Why explains.
	Explained bool
	Ends      []End
	// Processes are what is known of Python's objects at the ends of processes.
	Processes []*hang.Facts
	// Commands are command lines to go on with.
	Commands []string
	// Unlike says what differs from a recording that was named, nil for none.
	Unlike *Unlike
	// Checks are what specs say of it.
	Checks []Check
	// Describe says in one line what happened at an event, entered by enter.
	Describe func(ev, enter *recording.Event, p *logview.Follower) string
	// Read reads variables at some places, and what calls printed at others; nil
	// where that can't be had.
	Read func(vars, output map[Place]bool) Read
	// Events bounds the rows: of more, the last ones are shown.
	Events int
	// Progress is told now and then how many events were read.
	Progress func(uint64)
}

// Fact is a line about a recording.
type Fact struct{ Name, Value string }

// End is how a thread stood when the recording ended.
type End struct {
	Proc  int
	TID   int32
	Waits string
	// Stack is where it stood, innermost frame first: for a recording without an index.
	Stack []stack.Frame
}

// Unlike is what a run got that another one, which passed, did not.
type Unlike struct {
	Name     string  `json:"name"`
	Causes   []Cause `json:"causes"`
	Followed string  `json:"followed,omitempty"`
}

// Cause is one difference; Proc and Event are its place, Event 0 for none.
type Cause struct {
	Kind   string `json:"kind"`
	What   string `json:"what"`
	Passed string `json:"passed"`
	This   string `json:"this"`
	Proc   int    `json:"proc,omitempty"`
	Event  uint64 `json:"event,omitempty"`
}

// Page is a page that is ready to be written.
type Page struct {
	in    *Input
	doc   *document
	block string
	rows  []row
	nodes map[uint32]uint32 // of the index, to those of the page
	tree  *tree
	// Rows are the events that it holds, Left those before them that it leaves out.
	Rows, Left int
}

// Make reads a recording and makes its page. Where not all events fit, those at
// the beginning are left out. With an error about a damaged recording the page
// shows what could be read, and both are returned.
func Make(in *Input) (*Page, error) {
	w := &walk{in: in, most: in.Events}
	if w.most <= 0 {
		w.most = DefaultEvents
	}
	damaged := w.read()
	w.readMoments()
	p := &Page{in: in}
	for {
		doc := newDocument(w)
		block, err := doc.block()
		if err != nil {
			return nil, err
		}
		if len(block) <= maxBlock || len(w.rows) < 1000 {
			p.doc, p.block, p.rows, p.tree, p.nodes = doc, block, w.rows, doc.tree, doc.tree.byNode
			break
		}
		w.cut(max(500, len(w.rows)*maxBlock/len(block)*9/10))
	}
	p.Rows, p.Left = len(w.rows), w.left
	return p, damaged
}

// Write writes the page.
func (p *Page) Write(w io.Writer) error { return p.writeHTML(w) }
