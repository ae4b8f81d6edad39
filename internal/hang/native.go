package hang

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pyrr/internal/lazyregexp"
)

// finalNative says of one that waits for a descriptor of a library's own what is known:
// the function of the package that waits, who died, who waits too.
func (j *judge) finalNative(n node) (says, degree, kind, missing string) {
	at := j.where(n)
	says = "waits" + at + " in native code"
	if u := j.unit(n); u != nil {
		for k := range u.Frames {
			f := &u.Frames[k]
			if f.own() {
				if k == 0 && j.in.Text != nil && strings.Contains(j.in.Text(f.File, f.Line), "eventfd_read(") {
					says = "reads" + at + " from an eventfd to which nobody writes"
				}
				break
			}
			if Installed(f.File) && !Machinery(f.File) {
				says = "waits in " + f.Func + at + ", in native code"
				break
			}
		}
	}
	gone := or(j.beside(n), or(j.endedSender(n), or(j.goneThread(n.proc), j.goneKid(n.proc))))
	return says + j.refused(n.proc) + gone, Likely, "native", "what would end it: the library keeps that to itself"
}

// goneThread names the thread that has ended where none of the program's own is left but the
// main one.
func (j *judge) goneThread(proc int) string {
	p := j.procs[proc]
	if p == nil || p.Facts == nil || len(p.Facts.Dead) != 1 || slices.ContainsFunc(p.Facts.Units, func(u Unit) bool { return !u.Main && len(u.Frames) > 0 }) {
		return ""
	}
	d := &p.Facts.Dead[0]
	j.cite(Evidence{Text: "thread " + d.Name + " ended", Proc: proc, Event: d.Event})
	return "; thread " + d.Name + " has ended"
}

// goneKid says of the only child process of one that it has ended.
func (j *judge) goneKid(proc int) string {
	if gone := or(j.lostChild(proc), j.goneChild(proc)); gone != "" {
		return "; " + gone
	}
	return ""
}

// refused says which connection a thread of the library asks for again and again in vain.
func (j *judge) refused(proc int) string {
	p := j.procs[proc]
	if p == nil || p.Refused == nil {
		return ""
	}
	l := p.Refused
	j.cite(Evidence{Text: fmt.Sprintf("a thread of the library was refused %d times: %s", l.Failed, l.Fails), Proc: proc, Event: l.Event})
	if m := connects().FindStringSubmatch(l.Fails); m != nil {
		return "; the library can't connect to " + m[1] + " (" + m[2] + "), and tries again and again"
	}
	return "; the library tries again and again to connect, each time " + l.Fails
}

var connects = lazyregexp.New(`^connect\(\d+, ([^,()]+)\) = -1 (\w+)$`)

var (
	receives = lazyregexp.New(`\.recv\w*\(`)
	sends    = lazyregexp.New(`\.send\w*\(`)
)

// endedSender names, of one whose line receives a message, the thread that has ended in the
// only function of the program that sends any.
func (j *judge) endedSender(n node) string {
	f, ok := j.place(n)
	if p := j.procs[n.proc]; !ok || j.in.Text == nil || j.in.Source == nil || p.Facts == nil || !receives().MatchString(j.in.Text(f.File, f.Line)) {
		return ""
	}
	all := j.actors(n, sends())
	if len(all) != 1 {
		return ""
	}
	d, _ := j.endedIn(n.proc, all)
	if d == nil {
		return ""
	}
	j.cite(Evidence{Text: "thread " + d.Name + " ended", Proc: n.proc, Event: d.Event, File: all[0].File, Line: all[0].Line})
	return "; thread " + d.Name + ", which sends at " + j.sameFile(f, Frame{File: all[0].File, Line: all[0].Line}) + ", has ended"
}

// passingMutex tells a wait for a mutex of native code that has just begun: such are held for
// a few instructions mostly.
func (j *judge) passingMutex(n node, u *Unit) bool {
	if u == nil || u.Wait == nil {
		return false
	}
	t, c := j.thing(n.proc, first(u.Wait.On)), j.call(n)
	return t != nil && t.Class == Mutex && (c == nil || c.For < 50*time.Millisecond)
}
