package cpython

// frameFacts are what differs from version to version in frames, and in what is found
// by them.
type frameFacts struct {
	// interpreterFrames: a frame is a _PyInterpreterFrame (pycore_frame.h), which a frame
	// object only points to; its variables are one list, and its stack lies behind them.
	// Before, the frame object is the frame.
	interpreterFrames bool
	// exceptionTable: a code object has a table of its handlers. Before, a frame has a
	// stack of blocks.
	exceptionTable bool
	// unboundExit: a with statement keeps __exit__ on the stack as a function and its
	// object. Before, it is a bound method.
	unboundExit bool
	// switchOnly: without computed gotos, every instruction goes through the switch. Before,
	// one may go on to that which mostly follows it (PREDICT).
	switchOnly bool
	// tailCalls: the opcodes of the eval loop may be a function each.
	tailCalls bool
	// excTriples: an exception that is being handled is kept as type, value and traceback
	// (_PyErr_StackItem, cpython/pystate.h). Later, the value is all.
	excTriples bool
	// stackrefs: what frames hold has tags in its low bits (_PyStackRef).
	stackrefs bool
	// remoteScript: another process may leave the path of a script in the state of the main
	// thread, to be run there (_PyRemoteDebuggerSupport).
	remoteScript bool
	// lines decodes a code object's line table to ranges in rising order. A table that
	// ends early gives what came before.
	lines func(table []byte, firstLine int) []position
	// genStates says what the values of enum _framestate mean (pycore_frame.h),
	// and delegateTop how many words lie on a delegating frame's stack above what
	// it waits for.
	genStates   map[int8]genState
	delegateTop int
}

// objectFacts are what differs from version to version in objects.
type objectFacts struct {
	// wideInterned: a free-threaded build's str has a byte for interned.
	wideInterned bool
	// gcInRuntime: the lists of the garbage collector begin in _PyRuntime. Later, in the
	// interpreter.
	gcInRuntime bool
	// excNotes: an exception has a word for its notes, before its traceback.
	excNotes bool
	// queueRing: a queue.SimpleQueue is a ring, and who waits parks at a byte of it.
	// Before, it has a list and a pointer to a lock (Modules/_queuemodule.c).
	queueRing bool
	// parkingLot: threads wait in the parking lot (Python/parking_lot.c).
	parkingLot bool
	locks      lockForm
	dictValues valuesForm
	attributes dictForm
}

// lockForm is what a lock of threading keeps (Modules/_threadmodule.c).
type lockForm int

const (
	// lockPointer: a pointer to a PyThread_type_lock.
	lockPointer lockForm = iota
	// lockEither: a PyMutex from one of the version's patch releases on.
	lockEither
	// lockMutex: a PyMutex.
	lockMutex
)

// valuesForm is how the values of a dict lie that are apart from its keys (pycore_dict.h).
type valuesForm int

const (
	// valuesOnly: as an array, in the order of the keys.
	valuesOnly valuesForm = iota
	// valuesOrderBefore: struct _dictvalues with the order of insertion before the values.
	valuesOrderBefore
	// valuesOrderBehind: struct _dictvalues with the order of insertion behind the values.
	valuesOrderBehind
)

// dictForm is where an object of a class with Py_TPFLAGS_MANAGED_DICT has its __dict__
// (Objects/dictobject.c).
type dictForm int

const (
	// dictAtOffset: where tp_dictoffset says; no class has that flag.
	dictAtOffset dictForm = iota
	// dictOrValuesWords: a word for the values and one for the dict, before the object.
	dictOrValuesWords
	// dictOrValuesTagged: one word before the object, which has a tag if it is the values.
	dictOrValuesTagged
	// dictOrInline: a word for the dict before the object; the values may be in the object.
	dictOrInline
)
