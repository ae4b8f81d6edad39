package cpython

// Traceback returns the frames that an exception went through, the one that it
// was raised in first. Their lines are those of the traceback; their variables
// are still what they were, since a frame that is left runs no more.
func (i *Inspector) Traceback(exc uint64) []Frame {
	var out []Frame
	tb := i.excWord(exc, 0)
	for n := 0; tb != 0 && n < 2*defaultLimit; n++ {
		if i.Type(tb) != "traceback" {
			break
		}
		// PyTracebackObject: tb_next, tb_frame, tb_lasti, tb_lineno
		// (cpython/traceback.h). tb_lasti counts bytes in all versions.
		s, err := i.v.record("traceback", tb+uint64(i.r.l.object.typ)+8, 24)
		if err != nil {
			break
		}
		if f, ok := i.frameOf(s.u64(8)); ok {
			f.Instr = s.i32(16)
			f.Line = i.lineAt(&f, f.Instr)
			out = append(out, f)
		}
		tb = s.u64(0)
	}
	for a, b := 0, len(out)-1; a < b; a, b = a+1, b-1 {
		out[a], out[b] = out[b], out[a]
	}
	return out
}

// frameOf returns the frame of a frame object.
func (i *Inspector) frameOf(obj uint64) (Frame, bool) {
	if i.Type(obj) != "frame" {
		return Frame{}, false
	}
	addr := obj
	if i.r.l.rules.interpreterFrames {
		// PyFrameObject.f_frame follows PyObject_HEAD and f_back.
		at, err := i.v.u64(obj + uint64(i.r.l.object.typ) + 16)
		if err != nil {
			return Frame{}, false
		}
		addr = at
	}
	s, err := i.v.record("frame", addr, i.r.frameSize)
	if err != nil {
		return Frame{}, false
	}
	w := walk{r: i.r, v: i.v, limit: 1}
	if w.frame(s, true) != nil || len(w.frames) == 0 {
		return Frame{}, false
	}
	return w.frames[0], true
}

// excWord returns a word of PyBaseExceptionObject (cpython/pyerrors.h) behind
// args: traceback, context, cause; from 3.11 on notes come before.
func (i *Inspector) excWord(exc uint64, n int) uint64 {
	t, ok := i.typeOf(exc)
	if !ok || t.flags&flagException == 0 {
		return 0
	}
	at := i.r.l.exc.args + 8 + 8*n
	if i.r.l.rules.excNotes {
		at += 8
	}
	p, err := i.v.u64(exc + uint64(at))
	if err != nil || i.None(p) {
		return 0
	}
	return p
}

// Cause returns the exception that one was raised from, or was raised while it
// was handled; from says which.
func (i *Inspector) Cause(exc uint64) (cause uint64, from bool) {
	if cause = i.excWord(exc, 2); cause != 0 {
		return cause, true
	}
	// suppress_context is the byte behind cause.
	t, ok := i.typeOf(exc)
	if !ok || t.flags&flagException == 0 {
		return 0, false
	}
	at := i.r.l.exc.args + 8 + 24
	if i.r.l.rules.excNotes {
		at += 8
	}
	if b, err := i.v.bytes(exc+uint64(at), 1); err != nil || b[0] != 0 {
		return 0, false
	}
	return i.excWord(exc, 1), false
}

// IsException tells an exception object.
func (i *Inspector) IsException(obj uint64) bool {
	t, ok := i.typeOf(obj)
	return ok && t.flags&flagException != 0
}

// Args returns the arguments of an exception.
func (i *Inspector) Args(exc uint64) []uint64 {
	if !i.IsException(exc) {
		return nil
	}
	args, err := i.v.u64(exc + uint64(i.r.l.exc.args))
	if err != nil {
		return nil
	}
	return i.Items(args, 20)
}
