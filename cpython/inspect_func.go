package cpython

// FuncName returns the qualified name of a function, bound method or partial.
func (i *Inspector) FuncName(obj uint64) string {
	for range 8 {
		switch i.Type(obj) {
		case "function":
			name, err := i.v.u64(obj + uint64(i.r.l.fun.qualname))
			if err != nil {
				return ""
			}
			return i.Str(name)
		case "method", "partial":
			next, err := i.v.u64(obj + uint64(i.r.l.object.typ) + 8) // im_func; partialobject.fn
			if err != nil {
				return ""
			}
			obj = next
		default:
			return ""
		}
	}
	return ""
}

// BuiltinName returns the name of a function or method of C, bound or not, and of one that
// Cython made: PyCFunctionObject has m_ml first, which begins with a C string, and
// PyDescrObject d_type and d_name.
func (i *Inspector) BuiltinName(obj uint64) string {
	at := obj + uint64(i.r.l.object.typ) + 8
	switch i.Type(obj) {
	case "builtin_function_or_method", "builtin_method", "cython_function_or_method":
		ml, err := i.v.u64(at)
		if err != nil || ml == 0 {
			return ""
		}
		name, err := i.v.u64(ml)
		if err != nil {
			return ""
		}
		text, _ := i.v.cstring(name, 256)
		return text
	case "method_descriptor":
		name, _ := i.v.u64(at + 8)
		return i.Str(name)
	}
	return ""
}

// FuncPlace returns the file of a function, bound method or partial, and the line of its
// definition.
func (i *Inspector) FuncPlace(obj uint64) (file string, line int) {
	for range 8 {
		switch i.Type(obj) {
		case "function":
			code, _ := i.funcParts(obj)
			if code == 0 {
				return "", 0
			}
			_, key, err := i.r.codeRecord(i.v, code)
			if err != nil {
				return "", 0
			}
			return i.Str(key.filename), int(key.firstLine)
		case "method", "partial":
			next, err := i.v.u64(obj + uint64(i.r.l.object.typ) + 8) // as in FuncName
			if err != nil {
				return "", 0
			}
			obj = next
		default:
			return "", 0
		}
	}
	return "", 0
}

// Closure returns what the free variables of a function hold.
func (i *Inspector) Closure(fn uint64) []uint64 {
	if i.Type(fn) != "function" {
		return nil
	}
	// The tuple of cells is among the first members of PyFunctionObject, at a
	// place that depends on the version.
	var out []uint64
	for at := i.r.l.object.typ + 8; at < i.r.l.object.typ+8+14*8; at += 8 {
		p, err := i.v.u64(fn + uint64(at))
		if err != nil || p%8 != 0 || p < 1<<16 || p>>47 != 0 || i.Type(p) != "tuple" {
			continue
		}
		for _, cell := range i.Items(p, 50) {
			if i.Type(cell) != "cell" {
				break
			}
			if value, err := i.v.u64(cell + uint64(i.r.l.cell.ref)); err == nil && value != 0 {
				out = append(out, value)
			}
		}
	}
	return out
}

// FuncGlobals returns the objects that the code of a function names of its module.
func (i *Inspector) FuncGlobals(fn uint64) []uint64 {
	if i.Type(fn) != "function" {
		return nil
	}
	code, globals := i.funcParts(fn)
	if code == 0 || globals == 0 {
		return nil
	}
	record, _, err := i.r.codeRecord(i.v, code)
	if err != nil {
		return nil
	}
	names := map[string]bool{}
	for _, item := range i.Items(record.u64(i.r.l.code.names), 50) {
		if s := i.Str(item); s != "" {
			names[s] = true
		}
	}
	var out []uint64
	left := 5000
	_ = i.r.dictItems(i.v, globals, func(key, value uint64) bool {
		left--
		if names[i.Str(key)] {
			out = append(out, value)
		}
		return left > 0 && len(out) < len(names)
	})
	return out
}

// funcParts returns the code and the globals of a function. They are among the first
// members of PyFunctionObject, in an order that depends on the version; of the dicts the
// globals come first.
func (i *Inspector) funcParts(fn uint64) (code, globals uint64) {
	for at := i.r.l.object.typ + 8; at < i.r.l.object.typ+8+8*8; at += 8 {
		p, err := i.v.u64(fn + uint64(at))
		if err != nil || p%8 != 0 || p < 1<<16 || p>>47 != 0 {
			continue
		}
		switch i.Type(p) {
		case "code":
			code = p
		case "dict":
			if globals == 0 {
				globals = p
			}
		}
	}
	return code, globals
}
