package unwind

import "strings"

// rows reads an array of structures whose first word is a name; it ends with one without.
// All must be what such have.
func (r *pyReader) rows(at, size uint64, row func(at uint64, name string) ([]pyName, bool)) (out []pyName, ok bool) {
	for n := 0; n < maxPyRows; n, at = n+1, at+size {
		r.work++
		p, elsewhere := r.pointer(at)
		if p == 0 && !elsewhere {
			return out, r.empty(at) && len(out) > 0
		}
		name, isText := r.text(at, false)
		names, ok := row(at, name)
		if !isText || !ok {
			return nil, false
		}
		out = append(out, names...)
	}
	return nil, false
}

// methods reads an array of PyMethodDef, {char *name; function; int flags; char *doc}.
func (r *pyReader) methods(at uint64) ([]pyName, bool) {
	const size, known = 32, 0x3ff // known are the bits METH_…
	return r.rows(at, size, func(at uint64, name string) ([]pyName, bool) {
		fn, isCode := r.code(at + 8)
		flags, readable := r.raw(at+16, 4)
		ok := isCode && readable && flags != 0 && flags&^known == 0 && r.dataPointer(at+24)
		return []pyName{{fn: fn, last: name}}, ok
	})
}

// getsets reads an array of PyGetSetDef, {char *name; get; set; char *doc; void
// *closure}.
func (r *pyReader) getsets(at uint64) ([]pyName, bool) {
	const size = 40
	return r.rows(at, size, func(at uint64, name string) ([]pyName, bool) {
		get, getCode := r.code(at + 8)
		set, setCode := r.code(at + 16)
		return []pyName{{fn: get, last: name + ".__get__"}, {fn: set, last: name + ".__set__"}}, getCode && setCode && r.dataPointer(at+24)
	})
}

// addAll makes the rows of an array an owner's.
func (r *pyReader) addAll(rows []pyName, owner string, rank int) {
	for _, n := range rows {
		r.add(n.fn, owner, n.last, rank)
	}
}

// moduleAt reads the PyModuleDef whose m_name is at an address. Before it are the type
// of the object, and m_init, m_index and m_copy, all of which are empty in a file.
func (r *pyReader) moduleAt(at uint64, name string) bool {
	if t, elsewhere := r.pointer(at - 32); t != 0 || elsewhere {
		return false
	}
	size, ok := r.raw(at+16, 8)
	if !ok || int64(size) < -1 || int64(size) > 1<<24 || !r.empty(at-24) || !r.empty(at-16) || !r.empty(at-8) || !r.dataPointer(at+8) || !r.dataPointer(at+32) {
		return false
	}
	for _, slot := range []uint64{40, 48, 56} { // traverse, clear, free
		if _, ok := r.code(at + slot); !ok {
			return false
		}
	}
	p, _ := r.pointer(at + 24)
	if p == 0 {
		return false
	}
	rows, ok := r.methods(p)
	if ok {
		r.addAll(rows, name, rankMethod)
	}
	return ok
}

// typeAt reads the PyTypeObject whose tp_name is at an address. Before it are ob_type,
// in free-threaded builds too, and ob_size.
func (r *pyReader) typeAt(at uint64, name string) bool {
	kind, elsewhere := r.pointer(at - 16)
	mine := kind != 0 && kind == r.typeType || elsewhere && r.outside[at-16] == "PyType_Type"
	if !mine && (kind != 0 || elsewhere) || !r.empty(at-8) {
		return false
	}
	basic, ok1 := r.raw(at+8, 8)
	item, ok2 := r.raw(at+16, 8)
	vector, ok3 := r.raw(at+32, 8)
	if !ok1 || !ok2 || !ok3 || basic == 0 || basic > 1<<20 || item > 1<<16 || vector > 1<<16 {
		return false
	}
	var rows []pyName
	for _, s := range typeSlots {
		fn, ok := r.code(at + s.at)
		if !ok {
			return false
		}
		rows = append(rows, pyName{fn: fn, last: s.name})
	}
	filled := 0
	for _, n := range rows {
		if n.fn != 0 {
			filled++
		}
	}
	if !mine && filled < 3 {
		return false
	}
	type table struct {
		rows []pyName
		rank int
	}
	var tables []table
	for _, part := range typeParts {
		p, _ := r.pointer(at + part.at)
		if p == 0 {
			continue
		}
		t := table{rank: rankEntry}
		for i, n := range part.names {
			fn, ok := r.code(p + 8*uint64(i))
			if !ok {
				return false
			}
			t.rows = append(t.rows, pyName{fn: fn, last: n})
		}
		tables = append(tables, t)
	}
	for _, array := range []struct {
		at   uint64
		read func(uint64) ([]pyName, bool)
		rank int
	}{{typeMethods, r.methods, rankMethod}, {typeGetSet, r.getsets, rankGetSet}} {
		if p, _ := r.pointer(at + array.at); p != 0 && !r.inBSSOnly(p) {
			rows, ok := array.read(p)
			if !ok && !r.empty(p) {
				return false
			}
			tables = append(tables, table{rows: rows, rank: array.rank})
		}
	}
	r.addAll(rows, name, rankEntry)
	for _, t := range tables {
		r.addAll(t.rows, name, t.rank)
	}
	return true
}

// inBSSOnly says that an address has memory and no bytes in the file.
func (r *pyReader) inBSSOnly(p uint64) bool {
	_, _, ok := r.im.fileOffset(p)
	return !ok
}

// specAt reads the PyType_Spec whose name is at an address: {char *name; int basicsize,
// itemsize; unsigned flags; PyType_Slot *slots}, and {int slot; void *} of each slot.
func (r *pyReader) specAt(at uint64, name string) {
	if !strings.Contains(name, ".") {
		return
	}
	item, ok := r.raw(at+12, 4)
	p, _ := r.pointer(at + 24)
	if pad, ok2 := r.raw(at+20, 4); !ok || !ok2 || item > 1<<16 || pad != 0 || p == 0 || r.bytes(p) == nil {
		return
	}
	var rows []pyName
	for n := 0; ; n, p = n+1, p+16 {
		id, ok := r.raw(p, 8)
		if !ok || n > len(slotNames) || id >= uint64(len(slotNames)) {
			return
		}
		if id == 0 {
			if !r.empty(p+8) || n == 0 {
				return
			}
			break
		}
		target, elsewhere := r.pointer(p + 8)
		if target == 0 && !elsewhere && !r.empty(p+8) {
			return
		}
		switch id {
		case slotMethods, slotGetSet:
			read, rank := r.methods, rankMethod
			if id == slotGetSet {
				read, rank = r.getsets, rankGetSet
			}
			if more, ok := read(target); ok {
				for i := range more {
					more[i].rank = rank
				}
				rows = append(rows, more...)
			}
		default:
			if slotNames[id] == "" {
				continue // data
			}
			fn, ok := r.code(p + 8)
			if !ok {
				return
			}
			rows = append(rows, pyName{fn: fn, last: slotNames[id], rank: rankEntry})
		}
	}
	for _, n := range rows {
		r.add(n.fn, name, n.last, n.rank)
	}
}
