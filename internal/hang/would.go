package hang

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"pyrr/internal/lazyregexp"
)

// actor is a function of the program that would end the waiting for a thing, by its text.
type actor struct {
	Frame
	// handles says when it runs, if something is to call it at its time: "at exit", "on
	// SIGTERM".
	handles string
}

// byText says of what nobody brings about who would, by the text of the program, and what
// became of that one; ended is what is known of the thread that should have. "" is for
// nothing.
func (j *judge) byText(n node, t *Thing, how, ended string) string {
	call, does := j.callOf(t, how)
	if call == nil || j.in.Source == nil {
		return ""
	}
	if t.Kind != Queue { // into which it may have put before
		does = would(does)
	}
	all := j.actors(n, call)
	if len(all) == 0 || len(all) > 2 {
		return ""
	}
	a := all[0]
	place := j.at(a.Frame)
	if f, ok := j.place(n); ok && f.File == a.File {
		place = fmt.Sprintf("line %d", a.Line)
	}
	j.cite(Evidence{Text: lastName(a.Func) + " " + does, Proc: n.proc, File: a.File, Line: a.Line})
	if d, seen := j.endedIn(n.proc, all); d != nil {
		name := "thread " + d.Name
		at := ""
		if seen.Line != 0 && seen.Line != a.Line {
			at = "; it was last seen at " + j.sameFile(a.Frame, seen)
		}
		j.cite(Evidence{Text: name + " ended", Proc: n.proc, Event: d.Event, File: seen.File, Line: seen.Line})
		return "; " + name + ", which " + does + " at " + place + ", has ended" + at
	}
	who := lastName(a.Func)
	if who == "<module>" {
		return ""
	}
	if ended != "" {
		ended = "; " + ended
	}
	switch a.handles {
	case "at exit":
		who = "the atexit handler " + who
		if len(j.way) > 0 {
			if u := j.unit(j.way[0].node); u != nil && u.Wait != nil && (u.Wait.How == "shutdown" || u.Wait.How == "join") && u.Main {
				return ended + "; " + who + " " + does + " (" + place + "), once all threads have ended"
			}
		}
	case "":
	default:
		named := who
		if who = "the handler of " + a.handles; named != "<lambda>" {
			who += ", " + named + ","
		}
		ended += j.undelivered(n, a.handles, a.Frame)
	}
	return ended + "; " + who + " " + does + " (" + place + ")"
}

// would is what one does who acts, "sets it", of one that has not come to it.
func would(does string) string {
	verb, rest, _ := strings.Cut(does, " ")
	return "would " + strings.Replace(strings.TrimSuffix(verb, "s"), "notifie", "notify", 1) + " " + rest
}

// sameFile is a place, without the name of a file that was just named.
func (j *judge) sameFile(before, f Frame) string {
	if before.File == f.File {
		return fmt.Sprintf("line %d", f.Line)
	}
	return j.at(f)
}

// endedIn finds the last thread that has ended in the function of an actor, or in one that
// it may have been called from, and where it was seen last.
func (j *judge) endedIn(proc int, all []actor) (*Dead, Frame) {
	const most = 8
	p := j.procs[proc]
	if p == nil || p.Facts == nil || j.in.Seen == nil {
		return nil, Frame{}
	}
	dead := p.Facts.Dead
	for k := len(dead) - 1; k >= max(0, len(dead)-most); k-- {
		for _, f := range j.in.Seen(proc, &dead[k]) {
			if slices.ContainsFunc(all, func(a actor) bool { return a.File == f.File && a.Func == lastName(f.Func) }) {
				return &dead[k], f
			}
		}
	}
	return nil, Frame{}
}

// actors are the functions of the program that make a call, those aside which somebody runs
// just now: who runs one is known for it.
func (j *judge) actors(n node, call *regexp.Regexp) []actor {
	const mostFiles = 6
	p := j.procs[n.proc]
	var files []string
	runs := map[string]bool{}
	for k := range p.Facts.Units {
		for _, f := range p.Facts.Units[k].Frames {
			if !f.own() || f.compiled() || strings.HasPrefix(f.File, "<") {
				continue
			}
			runs[f.File+":"+lastName(f.Func)] = true
			if !slices.Contains(files, f.File) && len(files) < mostFiles {
				files = append(files, f.File)
			}
		}
	}
	var out []actor
	for _, file := range files {
		lines := strings.Split(j.in.Source(file), "\n")
		for k, line := range lines {
			code, _, _ := strings.Cut(strings.TrimSpace(line), "#")
			if !call.MatchString(code) {
				continue
			}
			name := enclosing(lines, k)
			if when := given(code); when != "" {
				out = append(out, actor{Frame{Func: "<lambda>", File: file, Line: k + 1}, when})
				continue
			}
			if name == "" || runs[file+":"+name] || slices.ContainsFunc(out, func(a actor) bool { return a.File == file && a.Func == name }) {
				continue
			}
			out = append(out, actor{Frame{Func: name, File: file, Line: k + 1}, handles(lines, name)})
		}
	}
	return out
}

var defines = lazyregexp.New(`^(?:async )?def (\w+)`)

// enclosing is the name of the function in which a line of a file stands, "" for none.
func enclosing(lines []string, at int) string {
	depth := indent(lines[at])
	if m := defines().FindStringSubmatch(strings.TrimSpace(lines[at])); m != nil {
		return m[1]
	}
	for k := at - 1; k >= 0 && depth > 0; k-- {
		code := strings.TrimSpace(lines[k])
		if code == "" || strings.HasPrefix(code, "#") || indent(lines[k]) >= depth {
			continue
		}
		depth = indent(lines[k])
		if m := defines().FindStringSubmatch(code); m != nil {
			return m[1]
		}
	}
	return ""
}

var signalName = lazyregexp.New(`\bSIG[A-Z]\w*`)

// given says when a lambda runs that a line gives to atexit or signal, "" for another line.
func given(code string) string {
	switch {
	case !strings.Contains(code, "lambda"):
	case strings.Contains(code, "atexit.register("):
		return "at exit"
	case strings.Contains(code, "signal.signal("), strings.Contains(code, "add_signal_handler("):
		return signalName().FindString(code)
	}
	return ""
}

// undelivered says of a signal whose handler would act that it was sent, but has not come.
func (j *judge) undelivered(n node, signal string, named Frame) string {
	p := j.procs[n.proc]
	if p == nil || p.Signal == nil || !p.Signal.Pending || p.Signal.Signal != signal || p.Time-p.Signal.Time < int64(time.Second/4) {
		return ""
	}
	s, at := p.Signal, ""
	if s.Where != nil {
		at = " at " + j.sameFile(named, *s.Where)
	}
	j.cite(Evidence{Text: signal + " was sent to it" + at, Proc: s.Proc, Event: s.Event})
	return "; " + signal + " was sent" + at + ", but did not come: it is blocked"
}

// handles says when a function runs that a program gives to atexit or signal.
func handles(lines []string, name string) string {
	word := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`)
	for k, line := range lines {
		code, _, _ := strings.Cut(line, "#")
		switch {
		case strings.Contains(code, "atexit.register") && strings.HasPrefix(strings.TrimSpace(code), "@") && k+1 < len(lines) && word.MatchString(lines[k+1]),
			strings.Contains(code, "atexit.register(") && word.MatchString(code):
			return "at exit"
		case (strings.Contains(code, "signal.signal(") || strings.Contains(code, "add_signal_handler(")) && word.MatchString(code):
			return signalName().FindString(code)
		}
	}
	return ""
}
