package cpython

// Opcodes of 3.15: pycore_opcode_metadata.h. New are TRACE_RECORD, and the
// states of generators, which count from 0.
var _ = known(Rules{
	Minor:        15,
	unassigned:   "120-127,219-232",
	uncounted:    []int{18, 237, 253, 255},
	executor:     254,
	instrumented: 233,
	breakpoints: breakpoints{
		extendedArg: 67,
		returns:     []byte{33, 245},
		resume:      []byte{128, 244},
		back:        []byte{74, 252},
		resumeAt:    7,
	},
	frameFacts:   frames15(),
	objectFacts:  objects14,
	Qualified:    true,
	FirstInFrame: true,
	debug:        debugGroups15,
	like:         14,
	layout:       layout15,
	base: [opcodes]uint8{
		3: 42, 129: 42, 130: 42, 131: 42, 132: 42, 133: 42, 134: 42, 135: 42, 136: 42, 137: 42, 138: 42, 139: 42, 140: 42,
		141: 42, 142: 42, 143: 42, 144: 50, 145: 50, 146: 50, 147: 50, 148: 50, 149: 50, 150: 50, 151: 4, 152: 4, 153: 50,
		154: 53, 155: 53, 156: 53, 157: 50, 158: 50, 159: 50, 160: 50, 161: 50, 162: 50, 163: 50, 164: 50, 165: 50,
		166: 50, 167: 50, 168: 50, 169: 54, 170: 54, 171: 54, 172: 55, 173: 55, 174: 68, 175: 68, 176: 68, 177: 68,
		178: 68, 179: 70, 180: 70, 181: 74, 182: 74, 183: 79, 184: 79, 185: 79, 186: 79, 187: 79, 188: 79, 189: 79,
		190: 79, 191: 79, 192: 79, 193: 79, 194: 79, 195: 79, 196: 91, 197: 91, 198: 95, 199: 95, 200: 128, 201: 128,
		202: 105, 203: 105, 204: 105, 205: 109, 206: 109, 207: 109, 208: 36, 209: 36, 210: 37, 211: 37, 212: 37, 213: 37,
		214: 37, 215: 37, 216: 118, 217: 118, 218: 118,
	},
	caches: [opcodes]uint8{
		3: 5, 4: 1, 36: 1, 37: 3, 42: 5, 50: 3, 53: 3, 54: 1, 55: 1, 68: 1, 70: 1, 74: 1, 79: 9, 91: 4, 95: 1, 99: 1,
		100: 1, 101: 1, 102: 1, 105: 1, 109: 4, 118: 1, 128: 1, 129: 5, 130: 5, 131: 5, 132: 5, 133: 5, 134: 5, 135: 5,
		136: 5, 137: 5, 138: 5, 139: 5, 140: 5, 141: 5, 142: 5, 143: 5, 144: 3, 145: 3, 146: 3, 147: 3, 148: 3, 149: 3,
		150: 3, 151: 1, 152: 1, 153: 3, 154: 3, 155: 3, 156: 3, 157: 3, 158: 3, 159: 3, 160: 3, 161: 3, 162: 3, 163: 3,
		164: 3, 165: 3, 166: 3, 167: 3, 168: 3, 169: 1, 170: 1, 171: 1, 172: 1, 173: 1, 174: 1, 175: 1, 176: 1, 177: 1,
		178: 1, 179: 1, 180: 1, 181: 1, 182: 1, 183: 9, 184: 9, 185: 9, 186: 9, 187: 9, 188: 9, 189: 9, 190: 9, 191: 9,
		192: 9, 193: 9, 194: 9, 195: 9, 196: 4, 197: 4, 198: 1, 199: 1, 200: 1, 201: 1, 202: 1, 203: 1, 204: 1, 205: 4,
		206: 4, 207: 4, 208: 1, 209: 1, 210: 3, 211: 3, 212: 3, 213: 3, 214: 3, 215: 3, 216: 1, 217: 1, 218: 1, 236: 1,
		240: 1, 241: 1, 242: 1, 243: 1, 244: 1, 248: 1, 249: 3, 250: 3, 251: 1, 252: 1,
	},
})

// layout15 is what 3.15 has elsewhere than 3.14; computed like layoutRows.
func layout15(l *layout) {
	t := func(gil, free int) int { // the build with the GIL, the free-threaded one
		if l.freeThreaded {
			return free
		}
		return gil
	}
	l.runtime.interpHead, l.runtime.mainThread = 936, 960
	l.interp.next, l.interp.id, l.interp.threads, l.interp.modules = 7264, 7272, 7336, 7592
	l.interp.structSize, l.interp.codeGeneration = t(226232, 250328), t(7944, 7952)
	l.thread.id, l.thread.threadID, l.thread.nativeID = 248, 176, 184
	l.thread.excInfo, l.thread.curExc = 144, 136
	l.task.tasksHead, l.task.leftHead = t(1048, no), t(10856, no)
	l.typ.cachedKeys = t(888, 904)
}

// debugGroups15 is struct _Py_DebugOffsets of 3.15's pycore_debug_offsets.h.
// Some of its structs have no size before their fields.
func debugGroups15(l *layout, gilBase *int) []debugGroup {
	f := func(p ...*int) []*int { return p }
	return []debugGroup{
		{name: "runtime_state", fields: f(nil, &l.runtime.interpHead)},
		// id, next, threads_head, threads_main, gc, imports_modules, sysdict,
		// builtins, ceval_gil, gil_runtime_state, …_enabled, …_locked, …_holder,
		// code_object_generation, tlbc_generation
		{name: "interpreter_state", fields: f(&l.interp.id, &l.interp.next, &l.interp.threads, nil,
			nil, &l.interp.modules, nil, nil, &l.interp.gil, gilBase, nil, &l.gil.locked, &l.gil.lastHolder,
			&l.interp.codeGeneration, nil)},
		// prev, next, interp, current_frame, base_frame, last_profiled_frame,
		// …_seq, thread_id, native_thread_id, datastack_chunk, status, holds_gil,
		// gil_requested, current_exception, exc_state
		{name: "thread_state", fields: f(nil, &l.thread.next, &l.thread.interp, &l.thread.frame, nil, nil, nil,
			&l.thread.threadID, &l.thread.nativeID, nil, nil, nil, nil, &l.thread.curExc, nil)},
		{name: "err_stackitem", bare: true, fields: f(nil)},
		{name: "interpreter_frame", fields: f(&l.frame.previous, &l.frame.code, &l.frame.ip, &l.frame.localsplus,
			&l.frame.owner, &l.frame.stackpointer, nil)},
		{name: "code_object", fields: f(&l.code.filename, &l.code.name, &l.code.qualname, &l.code.lineTable, &l.code.firstLine,
			&l.code.argcount, &l.code.localsplusNames, &l.code.localsplusKinds, &l.code.bytecode, nil)},
		{name: "pyobject", fields: f(&l.object.typ)},
		// tp_name, tp_repr, tp_flags, tp_basicsize, tp_dictoffset
		{name: "type_object", fields: f(&l.typ.name, nil, &l.typ.flags, &l.typ.basicSize, &l.typ.dictOffset)},
		{name: "heap_type_object", fields: f(&l.typ.cachedKeys)},
		{name: "tuple_object", fields: f(&l.tuple.items, &l.object.size)},
		{name: "list_object", fields: f(&l.list.items, nil)},
		{name: "set_object", fields: f(&l.set.used, &l.set.table, &l.set.mask)},
		{name: "dict_object", fields: f(&l.dict.keys, &l.dict.values)},
		{name: "float_object", fields: f(&l.float.value)},
		{name: "long_object", fields: f(&l.long.tag, &l.long.digits)},
		{name: "bytes_object", fields: f(nil, &l.bytes.value)},
		// state, length, asciiobject_size, compactunicodeobject_size
		{name: "unicode_object", fields: f(&l.str.state, &l.str.length, &l.str.ascii, &l.str.compact)},
		// collecting, frame, generation_stats_size, generation_stats
		{name: "gc", fields: f(nil, nil, nil, nil)},
		{name: "gen_object", fields: f(nil, &l.gen.iframe, &l.gen.state)},
	}
}

// frames15 are the facts of frames of 3.14, with other states of generators.
func frames15() frameFacts {
	f := frames14
	f.genStates = map[int8]genState{0: genCreated, 1: genSuspended, 2: genDelegating, 3: genDelegating, 4: genExecuting}
	f.delegateTop = 1
	return f
}
