package hang

import (
	"path"
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
			return "those of the pool are all taken, and none was given back"
		}
	}
	return ""
}
