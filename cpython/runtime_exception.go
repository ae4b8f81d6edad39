package cpython

import (
	"fmt"

	"pyrr/internal/mem"
)

// Exception is an exception object of a process.
type Exception struct {
	// Addr is the object's address.
	Addr uint64
	// Type is the name of its class, without the module.
	Type string
	// Text is much like its repr: ValueError('bad').
	Text string
}

// Exceptions returns the exception that a thread is raising, which has not
// come to a handler, and the one that it is handling: what sys.exception()
// would return. Each is nil when there is none.
func (r *Runtime) Exceptions(m mem.Reader, t Thread) (raising, handling *Exception, err error) {
	v := newView(m)
	defer v.release()
	l := r.l
	s, err := v.record("PyThreadState", t.Addr, max(l.thread.excInfo, l.thread.curExc, l.thread.curExcType)+8)
	if err != nil {
		return nil, nil, err
	}
	if raising, err = r.exception(v, s.u64(l.thread.curExc), s.u64(l.thread.curExcType)); err != nil {
		return nil, nil, fmt.Errorf("exception being raised: %w", err)
	}
	// _PyErr_StackItem (cpython/pystate.h): exc_type, exc_value,
	// exc_traceback, previous_item up to 3.10; exc_value, previous_item later.
	value, previous := 0, 8
	if l.rules.excTriples {
		value, previous = 8, 24
	}
	item := s.u64(l.thread.excInfo)
	for range maxStackItems {
		if item == 0 {
			return raising, nil, nil
		}
		e, err := v.record("_PyErr_StackItem", item, previous+8)
		if err != nil {
			return raising, nil, err
		}
		if handling, err = r.exception(v, e.u64(value), 0); err != nil {
			return raising, nil, fmt.Errorf("exception being handled: %w", err)
		}
		if handling != nil {
			return raising, handling, nil
		}
		item = e.u64(previous)
	}
	return raising, nil, fmt.Errorf("more than %d nested generators in the exception state", maxStackItems)
}

// maxStackItems bounds the running generators whose exception state is
// looked through: each has one item.
const maxStackItems = 100_000

// exception describes the exception at addr; nil for NULL and None. Before
// 3.12 one being raised may not have been made an object yet: then typ alone
// says what it is.
func (r *Runtime) exception(v *view, addr, typ uint64) (*Exception, error) {
	e := &Exception{Addr: addr}
	if addr != 0 {
		s, err := v.record("object", addr, r.l.object.typ+8)
		if err != nil {
			return nil, err
		}
		t, err := r.typeInfo(v, s.u64(r.l.object.typ))
		if err != nil {
			return nil, err
		}
		if t.flags&flagException != 0 {
			e.Type, e.Text = t.name, r.value(v, addr)
			return e, nil
		}
	}
	if typ == 0 {
		return nil, nil
	}
	t, err := r.typeInfo(v, typ)
	if err != nil {
		return nil, err
	}
	e.Type, e.Text = t.name, t.name
	return e, nil
}
