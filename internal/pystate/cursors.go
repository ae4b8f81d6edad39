package pystate

import "pyrr/internal/hang"

// cursors notes the cursors of sqlite3 that have a statement which was not read to its end: as
// long as that is so, they keep others from writing. Those of a connection in a method of which
// a thread waits are not in its way.
func (r *reader) cursors() {
	const words = 9 // of PyCursorObject that may refer to its connection and its statement
	if len(r.tracked.cursors) == 0 {
		return
	}
	uses := map[uint64]bool{}
	for _, u := range r.units {
		if u.thread == nil || !u.thread.Call || len(u.frames) == 0 {
			continue
		}
		for _, v := range r.StackValues(&u.frames[0]) {
			uses[v] = true
			for _, part := range r.partsOf(v, words) {
				uses[part] = true // of a cursor, its connection
			}
		}
	}
	for _, c := range r.tracked.cursors {
		open, busy := false, false
		for _, part := range r.Parts(c, words) {
			switch r.Type(part) {
			case "Statement":
				open = true
			case "Connection":
				busy = uses[part]
			}
		}
		if open && !busy {
			r.facts.Cursors = append(r.facts.Cursors, r.variable(c))
		}
	}
}

// partsOf are those of a cursor.
func (r *reader) partsOf(obj uint64, words int) []uint64 {
	if r.Type(obj) != "Cursor" {
		return nil
	}
	return r.Parts(obj, words)
}

// variable is how the program calls an object in a frame that runs, "" for nowhere.
func (r *reader) variable(obj uint64) string {
	for _, u := range r.units {
		for k := range u.frames {
			if k >= hang.MaxFrames || hang.Library(u.frames[k].File) {
				continue
			}
			if name := r.nameIn(u, k, map[uint64]bool{obj: true}); name != "" {
				return name
			}
		}
	}
	return ""
}
