package hang

import (
	"fmt"
	"strings"
)

// loopHead is a loop of the program's text.
type loopHead struct {
	text string // "while not done", "for n in jobs"; "" where that says nothing
	// ends says that it comes to an end by itself and is not left before: a for loop
	// without break and return.
	ends bool
}

// in is the head as a sentence quotes it behind a word, "" for none.
func (l loopHead) in(word string) string {
	if l.text == "" {
		return ""
	}
	return word + "`" + l.text + "`"
}

// loopAt finds the loop of the program in which a unit waits: around the line of the
// innermost of its own functions that has one.
func (j *judge) loopAt(n node) loopHead {
	l, _ := j.loopOf(n)
	return l
}

// loopOf is loopAt, with whether there is one.
func (j *judge) loopOf(n node) (loopHead, bool) {
	const most = 4 // functions
	var frames []Frame
	if u := j.unit(n); u != nil {
		frames = u.Frames
	} else if c := j.call(n); c != nil {
		frames = c.Frames
	}
	if j.in.Text == nil {
		return loopHead{}, false
	}
	own := 0
	for k := range frames {
		if !frames[k].own() {
			continue
		}
		if l, ok := j.loopAround(frames[k].File, frames[k].Line, longestHead); ok {
			return l, true
		}
		if own++; own == most {
			break
		}
	}
	return loopHead{}, false
}

func indent(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// longestHead is how much of the head of a loop of the program's is quoted.
const longestHead = 48

// polledBy is the condition of the loop in which a package sleeps, for a task: " in `while
// self.connections`"; "" where that says nothing.
func (j *judge) polledBy(n node) string {
	const longest = 70
	u := j.unit(n)
	if u == nil || j.in.Text == nil {
		return ""
	}
	for k := range u.Frames {
		f := &u.Frames[k]
		if f.own() {
			return ""
		}
		if !Installed(f.File) || Machinery(f.File) {
			continue
		}
		if l, ok := j.loopAround(f.File, f.Line, longest); ok && strings.HasPrefix(l.text, "while ") {
			return l.in(" in ")
		}
		return ""
	}
	return ""
}

// loopAround finds the loop that a line is in, within its function.
func (j *judge) loopAround(file string, at, longest int) (loopHead, bool) {
	const above = 40 // lines that are looked at
	here := j.in.Text(file, at)
	if strings.TrimSpace(here) == "" {
		return loopHead{}, false
	}
	depth := indent(here)
	for line := at; line > 0 && line > at-above; line-- {
		text := j.in.Text(file, line)
		code := strings.TrimPrefix(strings.TrimSpace(text), "async ")
		if code == "" || strings.HasPrefix(code, "#") || line < at && indent(text) >= depth {
			continue
		}
		depth = indent(text)
		isFor := strings.HasPrefix(code, "for ")
		switch {
		case strings.HasPrefix(code, "def "), strings.HasPrefix(code, "class "):
			return loopHead{}, false
		case isFor || strings.HasPrefix(code, "while "):
			end := ending(code)
			if end < 0 {
				return loopHead{}, true
			}
			head := strings.TrimSpace(code[:end])
			l := loopHead{text: head, ends: isFor && !j.isLeft(file, line, depth, code[end+1:])}
			if head == "while True" || head == "while 1" || len(head) > longest+len("while ") {
				l.text = ""
			}
			return l, true
		}
	}
	return loopHead{}, false
}

// isLeft says whether the body of a loop has a break or return; rest stands behind the
// colon of its head.
func (j *judge) isLeft(file string, head, depth int, rest string) bool {
	const below = 60
	leaves := func(code string) bool {
		for _, word := range []string{"break", "return"} {
			if strings.HasPrefix(code, word) || strings.Contains(code, ": "+word) || strings.Contains(code, "; "+word) {
				return true
			}
		}
		return false
	}
	if leaves(strings.TrimSpace(rest)) {
		return true
	}
	last := head // line with text
	for line := head + 1; line < head+below; line++ {
		text := j.in.Text(file, line)
		code := strings.TrimSpace(text)
		if code == "" || strings.HasPrefix(code, "#") {
			continue
		}
		last = line
		if indent(text) <= depth {
			return false
		}
		if leaves(code) {
			return true
		}
	}
	return last > head+below/2 // of a long body who knows; else the file ends here
}

// finalPending is a wait for a coroutine that an event loop has yet to begin with.
func (j *judge) finalPending(n node, t *Thing, at, fate string) (says, degree, kind, missing string) {
	says = "waits for the result of a coroutine" + at + " that "
	if len(t.Owed) > 0 {
		return says + "the event loop of " + j.name(node{n.proc, t.Owed[0]}) + " has yet to begin with", Likely, "future", "why that loop does not come to it"
	}
	return says + "was given to an event loop which does not run" + nobodyButFate(fate), Proven, "future", ""
}

// finalQueued is a wait for a job in the queue of a pool that has no workers.
func (j *judge) finalQueued(n node, t *Thing, at string) (says, degree, kind, missing string) {
	says = "waits for the result of a job" + at + " that lies in the queue of a pool that has no worker "
	if t.Class == "ProcessPoolExecutor" {
		says += "process"
		if t.Size > 0 {
			says += fmt.Sprintf(" left: max_tasks_per_child is %d", t.Size)
		}
		return says, Proven, "future", ""
	}
	says += "thread"
	if p := j.procs[n.proc]; p != nil && p.Forked {
		says += ": those of the parent do not exist in this child"
	}
	return says, Proven, "future", ""
}
