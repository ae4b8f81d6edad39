package cpython

import "fmt"

// no marks a field that a version does not have.
const no = -1

// layout is where CPython keeps what the stack reader needs: byte offsets
// into its structs, for one minor version and one threading model. Fields
// carry the C names shortened; layoutRows has the full ones.
type layout struct {
	rules        *Rules
	freeThreaded bool

	runtime struct{ interpHead, tstateCurrent, mainThread int }
	interp  struct{ next, id, threads, modules, gil, codeGeneration, structSize int }
	gil     struct{ lastHolder, locked int }
	thread  struct{ next, interp, frame, cframe, id, threadID, nativeID, excInfo, curExc, curExcType int }
	cframe  struct{ currentFrame, previous int }
	frame   struct {
		code, previous, ip, owner, isEntry, tlbcIndex, locals, localsplus int
		globals, builtins                                                 int
		valuestack, stacktop, stackdepth, stackpointer, state             int
		iblock, blocks                                                    int
	}
	code codeLayout
	objects
}

// codeLayout is where a code object keeps what is read of it; the names of its
// variables are one list from 3.11 on.
type codeLayout struct {
	size, flags, firstLine, argcount, kwonly int
	exceptionTable, nlocalsplus, stackSize   int
	bytecode, code, tlbc, firstTraceable     int
	codeNames
}

// codeNames are a code object's names, its file's, and the table of its lines.
type codeNames struct {
	names                               int
	filename, name, qualname, lineTable int
	varnames, cellvars, freevars        int
	localsplusNames, localsplusKinds    int
}

// objects is where objects of each class keep what is read of them.
type objects struct {
	object  struct{ typ, size int }
	str     struct{ length, state, wstr, ascii, compact, data int }
	bytes   struct{ value int }
	tuple   struct{ items int }
	list    struct{ items int }
	long    struct{ tag, digits int }
	float   struct{ value int }
	dict    struct{ used, keys, values int }
	keys    struct{ size, log2Size, log2IndexBytes, kind, nentries, indices int }
	set     struct{ used, mask, table int }
	cell    struct{ ref int }
	fun     struct{ qualname int }
	gen     struct{ qualname, frame, iframe, state int }
	weakref struct{ object int }
	task    struct{ coro, tasksHead, leftHead, node int }
	exc     struct{ args int }
	typ     struct{ name, basicSize, flags, dictOffset, members, base, dict, cachedKeys int }
}

// columns has one offset for each supported layout: 3.8, 3.9, 3.10, 3.11,
// 3.12, 3.13, 3.13t, 3.14, 3.14t (t: built with --disable-gil).
type columns [9]int

// tableLayout returns the offsets that layoutRows gives for a version of a
// release build on x86-64 (no Py_DEBUG, no Py_TRACE_REFS).
func tableLayout(minor int, freeThreaded bool) (*layout, error) {
	r := rulesOf(minor)
	if r == nil {
		return nil, fmt.Errorf("no struct layout for CPython 3.%d", minor)
	}
	if r.like != 0 {
		l, err := tableLayout(r.like, freeThreaded)
		if err != nil {
			return nil, err
		}
		if l.rules = r; r.layout != nil {
			r.layout(l)
		}
		return l, nil
	}
	c := r.column[0]
	if freeThreaded {
		c = r.column[1]
	}
	if c == no {
		return nil, fmt.Errorf("no struct layout for CPython 3.%d", minor)
	}
	l := &layout{rules: r, freeThreaded: freeThreaded}
	for _, row := range layoutRows {
		*row.field(l) = row.at[c]
	}
	return l, nil
}
