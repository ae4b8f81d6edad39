package cpython

import (
	"strings"

	"pyrr/internal/mem"
)

// maxBases bounds the base classes that are looked through.
const maxBases = 64

// Raised returns the exception that a thread is raising when it is of a class
// with the name, or of one derived from it ("" for any), and has no traceback
// yet: that is when PyTraceBack_Here (Python/traceback.c) is entered for the
// frame that it was raised in. Else it returns nil.
func (r *Runtime) Raised(m mem.Reader, t Thread, name string) (*Exception, error) {
	v := newView(m)
	defer v.release()
	l := r.l
	value, err := v.u64(t.Addr + uint64(l.thread.curExc))
	if err != nil {
		return nil, err
	}
	var typ, traceback uint64
	if l.thread.curExcType != no { // curexc_type, curexc_value, curexc_traceback
		s, err := v.record("PyThreadState", t.Addr, l.thread.curExcType+24)
		if err != nil {
			return nil, err
		}
		typ, traceback = s.u64(l.thread.curExcType), s.u64(l.thread.curExcType+16)
	} else {
		if value == 0 {
			return nil, nil
		}
		// PyBaseExceptionObject (cpython/pyerrors.h): args, notes, traceback.
		s, err := v.record("exception", value, l.exc.args+24)
		if err != nil {
			return nil, err
		}
		typ, traceback = s.u64(l.object.typ), s.u64(l.exc.args+16)
	}
	if typ == 0 || traceback != 0 {
		return nil, nil
	}
	if name != "" {
		ok, err := r.derives(v, typ, name)
		if err != nil || !ok {
			return nil, err
		}
	}
	return r.exception(v, value, typ)
}

// derives says whether a class or one of its bases, first ones first, has the
// name, with or without its module.
func (r *Runtime) derives(v *view, typ uint64, name string) (bool, error) {
	name = name[strings.LastIndexByte(name, '.')+1:]
	for range maxBases {
		if typ == 0 {
			break
		}
		t, err := r.typeInfo(v, typ)
		if err != nil {
			return false, err
		}
		if t.name == name {
			return true, nil
		}
		if typ, err = v.u64(typ + uint64(r.l.typ.base)); err != nil {
			return false, err
		}
	}
	return false, nil
}
