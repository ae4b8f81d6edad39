package hang

import (
	"path"
	"slices"
	"strings"
)

var _ = special{2, (*judge).noConnection}.enter()

// noConnection: it waits for a connection of a pool; who took the last one.
func (j *judge) noConnection(n node) (says, degree, kind, missing string) {
	u := j.waiting(n)
	if u == nil {
		return "", "", "", ""
	}
	free, at := j.freeConnection(u), j.waitAt(u)
	if free == "" {
		return "", "", "", ""
	}
	if t := j.thing(n.proc, first(u.Wait.On)); t != nil {
		if took := j.tookBefore(n, t); took != "" {
			return "waits for a free connection" + at + ": the last one was " + strings.TrimPrefix(took, "last ") + " and was not given back", Likely, "connection pool", "whether that one is the one that is missing"
		}
		if t.Untaken && !j.in.Midst {
			return "waits for a free connection" + at + ": the pool has given out none before" + j.atPool(n, u), Likely, "connection pool", "why the pool has none"
		}
	}
	return "waits for a free connection" + at + ": " + free, Likely, "connection pool", "where the connections were taken"
}

// freeConnection tells one that waits in a pool of connections of an installed
// package, by the names that such functions have, and says who may have them.
func (j *judge) freeConnection(u *Unit) string {
	for k := 0; k < u.Wait.Frame && k < len(u.Frames); k++ {
		f := u.Frames[k]
		if !Installed(f.File) || Machinery(f.File) {
			continue
		}
		name := strings.ToLower(f.Func + " " + path.Base(f.File))
		last := strings.ToLower(lastName(f.Func))
		if (strings.Contains(name, "pool") || strings.Contains(name, "connector")) &&
			(strings.Contains(last, "conn") || strings.Contains(last, "checkout") || strings.HasPrefix(last, "_get") || strings.HasPrefix(last, "_do_get") || last == "get") {
			return "none was given back"
		}
	}
	return ""
}

// atPool says what a thread of the same package is at with a connection, of one that waits for
// a pool to make its first one.
func (j *judge) atPool(n node, u *Unit) string {
	p, pkg := j.procs[n.proc], ""
	for k := 0; k < u.Wait.Frame && k < len(u.Frames) && pkg == ""; k++ {
		if f := u.Frames[k]; Installed(f.File) && !Machinery(f.File) {
			pkg = path.Dir(f.File)
		}
	}
	for k := range p.Facts.Units {
		to, o := node{n.proc, k}, &p.Facts.Units[k]
		c := j.call(to)
		if to == n || c == nil || c.Peer == nil && len(c.Peers) == 0 || !slices.ContainsFunc(o.Frames, func(f Frame) bool { return path.Dir(f.File) == pkg }) {
			continue
		}
		j.cite(Evidence{Text: j.name(to) + " " + j.stuck(to), Proc: n.proc, Event: c.Event})
		return "; its thread " + strings.TrimPrefix(j.name(to), "thread ") + " " + j.stuck(to)
	}
	return ""
}
