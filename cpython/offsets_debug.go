package cpython

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// debugCookie is the first eight bytes of _PyRuntime from 3.13 on
// (_Py_Debug_Cookie, pycore_runtime.h; pycore_debug_offsets.h from 3.14).
const debugCookie = "xdebugpy"

// debugHeader is the size of struct _Py_DebugOffsets before its first group:
// cookie, version (PY_VERSION_HEX), free_threaded.
const debugHeader = 24

// errNoDebugOffsets says that memory does not hold _Py_DebugOffsets.
var errNoDebugOffsets = errors.New("no _Py_DebugOffsets")

// debugSize is how much of _Py_DebugOffsets is read for a version.
func debugSize(r *Rules) int {
	var scratch layout
	var base int
	n := debugHeader
	for _, g := range r.debug(&scratch, &base) {
		n += g.size()
	}
	return n
}

// parseDebugHeader returns the version and threading model that
// _Py_DebugOffsets name.
func parseDebugHeader(b []byte) (v Version, freeThreaded bool, err error) {
	if len(b) < debugHeader || string(b[:8]) != debugCookie {
		return Version{}, false, errNoDebugOffsets
	}
	hex := binary.LittleEndian.Uint64(b[8:])
	ft := binary.LittleEndian.Uint64(b[16:])
	if ft > 1 || hex>>32 != 0 {
		return Version{}, false, fmt.Errorf("%w: version %#x, free_threaded %d", errNoDebugOffsets, hex, ft)
	}
	return versionFromHex(uint32(hex)), ft == 1, nil
}

// versionFromHex splits PY_VERSION_HEX (patchlevel.h).
func versionFromHex(hex uint32) Version {
	return Version{Major: int(hex >> 24), Minor: int(hex >> 16 & 0xff), Micro: int(hex >> 8 & 0xff)}
}

// debugGroup is one struct inside _Py_DebugOffsets: consecutive u64, the
// first being the size of the struct described, unless it is bare. A nil field
// is one that pyrr has no use for.
type debugGroup struct {
	name   string
	bare   bool
	fields []*int
}

// size is the group's own, in bytes.
func (g *debugGroup) size() int {
	if g.bare {
		return 8 * len(g.fields)
	}
	return 8 + 8*len(g.fields)
}

// applyDebugOffsets overwrites l with what b, the memory at _PyRuntime, says.
// The order of the groups and fields is that of struct _Py_DebugOffsets in
// 3.13's pycore_runtime.h and 3.14's pycore_debug_offsets.h.
func applyDebugOffsets(l *layout, b []byte) error {
	if want := debugSize(l.rules); len(b) < want {
		return fmt.Errorf("%w: %d bytes of %d", errNoDebugOffsets, len(b), want)
	}
	gilBase := 0
	at := debugHeader
	for _, g := range l.rules.debug(l, &gilBase) {
		if g.bare {
			at += g.size()
			continue
		}
		size := binary.LittleEndian.Uint64(b[at:])
		if size == 0 || size > 8<<20 {
			return fmt.Errorf("size of %s in _Py_DebugOffsets is %d", g.name, size)
		}
		for i, f := range g.fields {
			v := binary.LittleEndian.Uint64(b[at+8+8*i:])
			if f == nil {
				continue
			}
			if v > size {
				return fmt.Errorf("field %d of %s in _Py_DebugOffsets is at %d, beyond its size %d", i+1, g.name, v, size)
			}
			*f = int(v)
		}
		at += g.size()
	}
	// They count from the PyInterpreterState, which has room for a lock of
	// its own; the walker follows the pointer to whichever lock is used.
	l.gil.locked -= gilBase
	l.gil.lastHolder -= gilBase
	return checkLayout(l)
}

func debugGroups13(l *layout, gilBase *int) []debugGroup { return debugGroups(l, gilBase, false) }
func debugGroups14(l *layout, gilBase *int) []debugGroup { return debugGroups(l, gilBase, true) }

// debugGroups is the struct of 3.13, and of 3.14, which has more.
func debugGroups(l *layout, gilBase *int, is14 bool) []debugGroup {
	join := func(parts ...[]*int) []*int {
		var all []*int
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	f := func(p ...*int) []*int { return p }
	only14 := func(p ...*int) []*int {
		if is14 {
			return p
		}
		return nil
	}
	groups := []debugGroup{
		// finalizing, interpreters_head
		{name: "runtime_state", fields: f(nil, &l.runtime.interpHead)},
		// id, next, threads_head, threads_main (3.14), gc, imports_modules,
		// sysdict, builtins, ceval_gil, gil_runtime_state, …_enabled,
		// …_locked, …_holder, code_object_generation and tlbc_generation (3.14)
		{name: "interpreter_state", fields: join(
			f(&l.interp.id, &l.interp.next, &l.interp.threads), only14(nil),
			f(nil, &l.interp.modules, nil, nil, &l.interp.gil, gilBase, nil, &l.gil.locked, &l.gil.lastHolder),
			only14(&l.interp.codeGeneration, nil))},
		// prev, next, interp, current_frame, thread_id, native_thread_id,
		// datastack_chunk, status
		{name: "thread_state", fields: f(nil, &l.thread.next, &l.thread.interp, &l.thread.frame, &l.thread.threadID, &l.thread.nativeID, nil, nil)},
		// previous, executable, instr_ptr, localsplus, owner, stackpointer
		// and tlbc_index (3.14)
		{name: "interpreter_frame", fields: join(
			f(&l.frame.previous, &l.frame.code, &l.frame.ip, &l.frame.localsplus, &l.frame.owner),
			only14(&l.frame.stackpointer, nil))},
		// filename, name, qualname, linetable, firstlineno, argcount,
		// localsplusnames, localspluskinds, co_code_adaptive, co_tlbc (3.14)
		{name: "code_object", fields: join(
			f(&l.code.filename, &l.code.name, &l.code.qualname, &l.code.lineTable, &l.code.firstLine,
				&l.code.argcount, &l.code.localsplusNames, &l.code.localsplusKinds, &l.code.bytecode),
			only14(nil))},
		{name: "pyobject", fields: f(&l.object.typ)},
		// tp_name, tp_repr, tp_flags
		{name: "type_object", fields: f(&l.typ.name, nil, &l.typ.flags)},
		{name: "tuple_object", fields: f(&l.tuple.items, &l.object.size)},
		{name: "list_object", fields: f(&l.list.items, nil)},
	}
	if is14 {
		// used, table, mask
		groups = append(groups, debugGroup{name: "set_object", fields: f(&l.set.used, &l.set.table, &l.set.mask)})
	}
	groups = append(groups,
		debugGroup{name: "dict_object", fields: f(&l.dict.keys, &l.dict.values)},
		debugGroup{name: "float_object", fields: f(&l.float.value)},
		debugGroup{name: "long_object", fields: f(&l.long.tag, &l.long.digits)},
		// ob_size, ob_sval
		debugGroup{name: "bytes_object", fields: f(nil, &l.bytes.value)},
		// state, length, asciiobject_size
		debugGroup{name: "unicode_object", fields: f(&l.str.state, &l.str.length, &l.str.ascii)},
		debugGroup{name: "gc", fields: f(nil)},
	)
	if is14 {
		// gi_name, gi_iframe, gi_frame_state
		groups = append(groups, debugGroup{name: "gen_object", fields: f(nil, &l.gen.iframe, &l.gen.state)})
	}
	return groups
}

// checkLayout refuses offsets with which the walkers would read absurd
// amounts. The describing memory may be forged.
func checkLayout(l *layout) error {
	for _, row := range layoutRows {
		v := *row.field(l)
		max := 4096
		switch {
		case row.header == "pycore_runtime.h", strings.HasPrefix(row.header, "pycore_interp"):
			max = 8 << 20
		case row.header == "cpython/pystate.h":
			max = 16 << 10
		}
		if v < no || v > max {
			return fmt.Errorf("offset of %s is %d", row.member, v)
		}
	}
	return nil
}
