package draft

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pyrr/assert"
	"pyrr/internal/hang"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/stack"
)

// What a draft says of how things stood at the end, and of an exception.

// addSpare adds sentences that may be left out where they don't hold.
func (d *Draft) addSpare(sentences ...string) {
	if d.spare == nil {
		d.spare = map[string]bool{}
	}
	for _, s := range sentences {
		s = strings.Join(strings.Fields(s), " ") // as results have it
		if s != "" && !slices.Contains(d.expect, s) {
			d.spare[s] = true
			d.expect = append(d.expect, s)
		}
	}
}

// stuck drafts a spec about a task or greenlet where the verdict is about one: the
// system call that its loop waits in is the same for all hangs. The state is nil
// where it could not be read.
func (d *drafter) stuck() (*assert.State, *Draft) {
	state, err := d.src.State()
	if err != nil || state.Unknown != "" {
		return nil, nil
	}
	why := d.why.Why
	if why.Degree == hang.None || len(why.Units) == 0 || why.Units[0].Kind == hang.Thread {
		return state, nil
	}
	var out *Draft
	for _, ref := range why.Units[:min(3, len(why.Units))] {
		for i := range state.Events {
			e := &state.Events[i]
			if e.Kind != ref.Kind+" waits" || e.Proc != ref.Proc || e.Name != strings.TrimPrefix(ref.Name, ref.Kind+" ") {
				continue
			}
			s := d.waiting(state, i)
			switch {
			case s == "" || out != nil && slices.Contains(out.expect, s):
			case out == nil:
				out = &Draft{id: "hang", name: e.Text(), python: d.python(e.Proc), golden: len(state.Stacks[i].Python.Frames) > 0,
					expect: []string{s + " as hang"}}
			default:
				out.addSpare(s)
			}
			break
		}
	}
	if out == nil {
		return state, nil
	}
	out.addSpare(d.circle(state)...)
	for i := range d.events {
		if d.events[i].Kind == assert.KindTimeout {
			out.expect = append(out.expect, "timeout")
			break
		}
	}
	return state, out
}

// standing says what tells a hang from others in the same call: the circle, and
// what the thread waits in.
func (d *drafter) standing(state *assert.State, call *assert.Event) []string {
	if state == nil {
		return nil
	}
	out := d.circle(state)
	if call.Name != "futex" {
		return out // the call says it
	}
	for i := range state.Events {
		if e := &state.Events[i]; e.Kind == assert.KindThreadWaits && e.Proc == call.Proc && e.TID == call.TID && e.Waits != "" {
			return append(out, d.waiting(state, i))
		}
	}
	return out
}

// circle says who waits for each other, by the names of locks, else of threads.
func (d *drafter) circle(state *assert.State) []string {
	for i := range state.Events {
		e := &state.Events[i]
		if e.Kind != assert.KindDeadlock {
			continue
		}
		for _, names := range [][]string{e.Locks, e.Members} {
			if len(names) > 0 && len(names) <= 4 && len(names) == len(e.Members) && !slices.ContainsFunc(names, made) {
				words := make([]string, len(names))
				for k, n := range names {
					words[k] = sentenceWord(n)
				}
				return []string{"deadlock of " + strings.Join(words, " and ")}
			}
		}
		return []string{"deadlock"}
	}
	return nil
}

// made tells a name that differs from run to run.
func made(name string) bool {
	return name == "" || madeUp().MatchString(name) || madeTask().MatchString(name)
}

// madeTask matches the names that asyncio makes up for tasks, and processes without one.
var madeTask = lazyregexp.New(`^Task-\d+$|^child \d+$`)

// sentenceWord writes a name so that it is one word of a sentence.
func sentenceWord(name string) string {
	name = strings.ReplaceAll(name, "*", `\*`)
	if strings.ContainsAny(name, " \t\"\\,") {
		return strconv.Quote(name)
	}
	return name
}

// waiting is the sentence of a task, thread or greenlet that waits: what in, and at
// which line of the program.
func (d *drafter) waiting(state *assert.State, i int) string {
	e := &state.Events[i]
	kind, _, _ := strings.Cut(e.Kind, " ")
	s := kind
	switch {
	case kind == hang.Thread && e.TID == e.PID:
		s += " main"
	case !made(e.Name):
		s += " " + sentenceWord(e.Name)
	}
	s += " waits"
	if e.Waits != "" && plainName().MatchString(e.Waits) {
		s += " in " + e.Waits
	}
	if at := d.where(state.Stacks[i].Python); at != "" {
		return s + " " + at
	}
	if e.Waits == "" {
		return ""
	}
	return s
}

// plainName matches the functions that a sentence can name.
var plainName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// raised drafts a spec about the exception that a test or the program ended with,
// nil where that is not how it ended or can't be said.
func (d *drafter) raised() *Draft {
	r, where := d.why.Why.Raised, d.why.Why.Where
	if r == nil || where == nil || len(r.Frames) == 0 || !plainName().MatchString(where.Func) || !plainName().MatchString(r.Type) {
		return nil
	}
	file, origin := d.fileName(where.File)
	if origin == stack.Stdlib || strings.ContainsAny(file, " <\"") {
		return nil
	}
	s := fmt.Sprintf("raise %s in %s::%s", r.Type, file, where.Func)
	out := &Draft{id: "failed", name: r.Type + " in " + where.Func}
	if len(d.why.Why.Evidence) > 0 {
		out.python = d.python(d.why.Why.Evidence[0].Proc)
	}
	if text := steady(r.Text); text != "" {
		out.addSpare(s + " matching " + text)
	}
	out.expect = append(out.expect, s+" as failed")
	return out
}

// steady is the part of a message that another run has as well, as one word of a
// sentence; "" for none.
func steady(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.NewReplacer("*", `\*`, "\t", " ").Replace(line)
	line = changing().ReplaceAllString(line, "*")
	if r := []rune(line); len(r) > 70 {
		line = string(r[:70])
	}
	line = strings.TrimSpace(line)
	if strings.Trim(line, "* ") == "" || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(line) + `"`
}

// changing matches what differs from run to run in a message: addresses, process
// ids, ports and other long numbers, paths of temporary files.
var changing = lazyregexp.New(`0x[0-9a-fA-F]+|[0-9]{4,}|/(tmp|var/tmp|dev/shm)/[^ '",;:)]*`)
