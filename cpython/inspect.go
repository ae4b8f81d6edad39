package cpython

import (
	"strings"

	"pyrr/internal/mem"
)

// Inspector reads Python objects of one stopped process for those who ask what
// the objects mean. All methods take addresses of objects; 0 and memory that
// can't be read give the zero value, so that a question may be asked of any
// object. The answers are bounded like all that is read of a process. It is good
// until Release, while the process stays stopped; one goroutine uses it.
type Inspector struct {
	r     *Runtime
	v     *view
	m     mem.Reader
	types map[uint64]typeInfo
}

// inspectBudget is what one Inspector may read (see view).
const inspectBudget = 512 << 20

// Inspect begins to read objects.
func (r *Runtime) Inspect(m mem.Reader) *Inspector {
	v := newView(m)
	v.left = inspectBudget
	return &Inspector{r: r, v: v, m: m, types: map[uint64]typeInfo{}}
}

// Release ends the reading.
func (i *Inspector) Release() { i.v.release() }

func (i *Inspector) typeOf(obj uint64) (typeInfo, bool) {
	if obj == 0 || obj%8 != 0 {
		return typeInfo{}, false
	}
	at, err := i.v.u64(obj + uint64(i.r.l.object.typ))
	if err != nil {
		return typeInfo{}, false
	}
	return i.typeAt(i.v, at)
}

// typeAt reads the class at an address, by a view.
func (i *Inspector) typeAt(v *view, at uint64) (typeInfo, bool) {
	if at == 0 {
		return typeInfo{}, false
	}
	t, ok := i.types[at]
	if !ok {
		var err error
		if t, err = i.r.typeInfo(v, at); err != nil {
			return typeInfo{}, false
		}
		i.types[at] = t
	}
	return t, true
}

// Type returns the name of an object's class, without its module.
func (i *Inspector) Type(obj uint64) string {
	t, _ := i.typeOf(obj)
	return t.name
}

// Module returns the module that an object's class was made in, "" where the
// class does not say: a class written in C has it in its name.
func (i *Inspector) Module(obj uint64) string {
	t, ok := i.typeOf(obj)
	if !ok {
		return ""
	}
	if t.flags&flagHeapType == 0 {
		full, err := i.v.u64(t.addr + uint64(i.r.l.typ.name))
		if err != nil {
			return ""
		}
		name, err := i.v.cstring(full, 256)
		if err != nil {
			return ""
		}
		if at := strings.LastIndexByte(name, '.'); at >= 0 {
			return name[:at]
		}
		return "builtins"
	}
	dict, err := i.v.u64(t.addr + uint64(i.r.l.typ.dict))
	if err != nil || dict == 0 {
		return ""
	}
	value, err := i.r.lookup(i.v, dict, "__module__")
	if err != nil {
		return ""
	}
	return i.Str(value)
}

// IsA tells whether an object's class, or one of its first bases, has a name.
func (i *Inspector) IsA(obj uint64, name string) bool {
	t, ok := i.typeOf(obj)
	if !ok {
		return false
	}
	yes, err := i.r.derives(i.v, t.addr, name)
	return yes && err == nil
}

// Attr follows attributes of an object, given as "a.b.c": those of its dict
// and slots, and of modules.
func (i *Inspector) Attr(obj uint64, path string) uint64 {
	for name := range strings.SplitSeq(path, ".") {
		t, ok := i.typeOf(obj)
		if !ok {
			return 0
		}
		found := uint64(0)
		if t.name == "module" {
			if dict, err := i.v.u64(obj + uint64(i.r.l.object.typ) + 8); err == nil && dict != 0 {
				found, _ = i.r.lookup(i.v, dict, name)
			}
		} else {
			_ = i.r.attributes(i.v, obj, t, func(n string, value uint64) bool {
				if n == name {
					found = value
				}
				return found == 0
			})
		}
		if obj = found; obj == 0 || i.None(obj) {
			return 0
		}
	}
	return obj
}

// EachAttr calls f for each attribute of an instance, until f returns false.
func (i *Inspector) EachAttr(obj uint64, f func(name string, value uint64) bool) {
	if t, ok := i.typeOf(obj); ok && t.name != "module" {
		_ = i.r.attributes(i.v, obj, t, f)
	}
}

// EachItem calls f for each item of a list, tuple or dict with how a program asks for it, until
// f returns false: "[0]". The keys of a dict are the program's data: they are "[…]".
func (i *Inspector) EachItem(obj uint64, f func(name string, value uint64) bool) {
	t, ok := i.typeOf(obj)
	if !ok || t.flags&(flagList|flagTuple|flagDict) == 0 {
		return
	}
	_ = i.r.parts(i.v, obj, 0, func(name string, value uint64) bool {
		if !strings.HasPrefix(name, "[") {
			return false // its attributes
		}
		if t.flags&flagDict != 0 {
			name = "[…]"
		}
		return f(name, value)
	})
}

// Global returns what an imported module has by a name.
func (i *Inspector) Global(module, name string) uint64 {
	interp, err := i.v.u64(i.r.Addr + uint64(i.r.l.runtime.interpHead))
	for n := 0; err == nil && interp != 0 && n < maxInterpreters; n++ {
		modules, err := i.v.u64(interp + uint64(i.r.l.interp.modules))
		if err != nil {
			return 0
		}
		if modules != 0 {
			if dict, err := i.r.moduleDict(i.v, modules, module); err == nil && dict != 0 {
				found, _ := i.r.lookup(i.v, dict, name)
				return found
			}
		}
		if interp, err = i.v.u64(interp + uint64(i.r.l.interp.next)); err != nil {
			return 0
		}
	}
	return 0
}

// None tells None.
func (i *Inspector) None(obj uint64) bool { return i.Type(obj) == "NoneType" }

// Str returns the text of a str, "" for what is none.
func (i *Inspector) Str(obj uint64) string {
	t, ok := i.typeOf(obj)
	if !ok || t.flags&flagStr == 0 {
		return ""
	}
	s, err := i.r.rawString(i.v, obj, maxString)
	if err != nil {
		return ""
	}
	return s.text()
}

// Int returns the value of an int or bool.
func (i *Inspector) Int(obj uint64) (int64, bool) {
	t, ok := i.typeOf(obj)
	if !ok || t.flags&flagLong == 0 {
		return 0, false
	}
	n, err := i.r.integer(i.v, obj)
	if err != nil || !n.IsInt64() && !n.IsUint64() {
		return 0, false
	}
	if n.IsInt64() {
		return n.Int64(), true
	}
	return int64(n.Uint64()), true
}

// True tells True, and an int that is not zero.
func (i *Inspector) True(obj uint64) bool {
	n, ok := i.Int(obj)
	return ok && n != 0
}

// Text is much like an object's repr, on one line, of at most n bytes.
func (i *Inspector) Text(obj uint64, n int) string {
	if obj == 0 {
		return ""
	}
	s := i.r.value(i.v, obj)
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// Items returns at most most objects of a list, tuple, set, deque or
// SimpleQueue, or the values of a dict.
func (i *Inspector) Items(obj uint64, most int) []uint64 {
	t, ok := i.typeOf(obj)
	if !ok {
		return nil
	}
	var out []uint64
	add := func(item uint64) bool {
		if item != 0 {
			out = append(out, item)
		}
		return len(out) < most
	}
	switch {
	case t.flags&(flagList|flagTuple) != 0:
		_ = i.r.parts(i.v, obj, 0, func(name string, value uint64) bool {
			return strings.HasPrefix(name, "[") && add(value)
		})
	case t.flags&flagDict != 0:
		_ = i.r.dictItems(i.v, obj, func(_, value uint64) bool { return add(value) })
	case t.name == "set" || t.name == "frozenset":
		_ = i.r.setItems(i.v, obj, func(item uint64) error {
			if !add(item) {
				return errEnough
			}
			return nil
		})
	case t.name == "deque":
		i.deque(obj, add)
	case t.name == "SimpleQueue":
		i.simpleQueue(obj, add)
	}
	return out
}

// Pairs calls f for the items of a dict, until f returns false.
func (i *Inspector) Pairs(dict uint64, f func(key, value uint64) bool) {
	if t, ok := i.typeOf(dict); ok && t.flags&flagDict != 0 {
		_ = i.r.dictItems(i.v, dict, f)
	}
}

// Len returns how many items a list, tuple, dict, set, deque or SimpleQueue has.
func (i *Inspector) Len(obj uint64) int {
	t, ok := i.typeOf(obj)
	if !ok {
		return 0
	}
	if t.name == "deque" || t.name == "bytearray" || t.name == "array" || t.name == "array.array" {
		n, _ := i.v.u64(obj + uint64(i.r.l.object.size))
		return int(min(n, 1<<40))
	}
	if t.name == "SimpleQueue" {
		return len(i.Items(obj, maxEntries))
	}
	x := exprEval{r: i.r, v: i.v, m: i.m}
	n, err := x.length(&exprValue{addr: obj, kind: 'o'})
	if err != nil {
		return 0
	}
	return n
}

// deque goes through a collections.deque: blocks of 64 objects, each with a
// link to its left and right neighbour (Modules/_collectionsmodule.c).
func (i *Inspector) deque(obj uint64, f func(item uint64) bool) {
	const blockLen = 64
	size := uint64(i.r.l.object.size)
	n, err := i.v.u64(obj + size)
	if err != nil || n > maxEntries {
		return
	}
	s, err := i.v.record("deque", obj+size+8, 4*8) // leftblock, rightblock, leftindex, rightindex
	if err != nil {
		return
	}
	block, at := s.u64(0), s.u64(16)
	for ; n > 0 && at < blockLen; n-- {
		item, err := i.v.u64(block + 8 + 8*at)
		if err != nil || !f(item) {
			return
		}
		if at++; at == blockLen {
			at = 0
			if block, err = i.v.u64(block + 8 + 8*blockLen); err != nil {
				return
			}
		}
	}
}

// simpleQueue goes through a queue.SimpleQueue: up to 3.12 a list and the
// place of its first item, later a ring (Modules/_queuemodule.c).
func (i *Inspector) simpleQueue(obj uint64, f func(item uint64) bool) {
	head := uint64(i.r.l.object.typ) + 8
	if !i.r.l.rules.queueRing {
		// lock, locked, lst, lst_pos
		s, err := i.v.record("SimpleQueue", obj+head, 4*8)
		if err != nil {
			return
		}
		from := int(min(s.u64(24), 1<<40))
		_ = i.r.parts(i.v, s.u64(16), from, func(_ string, value uint64) bool { return f(value) })
		return
	}
	// has_threads_waiting; put_idx, get_idx, items, items_cap, num_items
	s, err := i.v.record("SimpleQueue", obj+head, 6*8)
	if err != nil {
		return
	}
	at, items, room, n := s.u64(16), s.u64(24), s.u64(32), s.u64(40)
	if room == 0 || room > maxEntries || n > room {
		return
	}
	for ; n > 0; n-- {
		item, err := i.v.u64(items + 8*(at%room))
		if err != nil || !f(item) {
			return
		}
		at++
	}
}

// Vars returns the bound local variables of a frame by name, arguments too.
func (i *Inspector) Vars(f *Frame) map[string]uint64 {
	l := locals{r: i.r, v: i.v, names: map[string]bool{}, cells: map[string]bool{}, plain: map[string]uint64{}}
	_ = i.r.eachLocal(&l, f)
	return l.plain
}

// FrameGlobal returns what the module of a frame has by a name.
func (i *Inspector) FrameGlobal(f *Frame, name string) uint64 {
	dict, err := i.v.u64(f.Addr + uint64(i.r.l.frame.globals))
	if err != nil || dict == 0 {
		return 0
	}
	found, _ := i.r.lookup(i.v, dict, name)
	return found
}

// Deref returns what a weak reference refers to, and any other object itself.
func (i *Inspector) Deref(obj uint64) uint64 {
	if strings.HasPrefix(i.Type(obj), "weakref") || i.Type(obj) == "ReferenceType" {
		obj, _ = i.v.u64(obj + uint64(i.r.l.weakref.object))
	}
	return obj
}

// MethodSelf returns the object that a bound method is of.
func (i *Inspector) MethodSelf(obj uint64) uint64 {
	if i.Type(obj) != "method" {
		return 0
	}
	self, _ := i.v.u64(obj + uint64(i.r.l.object.typ) + 16)
	return self
}

// BuiltinSelf returns the object that a bound method of C is of: m_self of PyCFunctionObject
// lies behind m_ml.
func (i *Inspector) BuiltinSelf(obj uint64) uint64 {
	if i.Type(obj) != "builtin_function_or_method" {
		return 0
	}
	self, _ := i.v.u64(obj + uint64(i.r.l.object.typ) + 16)
	return self
}

// CodeNames returns co_names of a frame's code: the globals and attributes that
// it names.
func (i *Inspector) CodeNames(f *Frame) []string {
	code, _, err := i.r.codeRecord(i.v, f.Code)
	if err != nil {
		return nil
	}
	var out []string
	for _, item := range i.Items(code.u64(i.r.l.code.names), 200) {
		if s := i.Str(item); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// GlobalName returns the name by which the module of a frame knows one of some
// objects, "" where it does not.
func (i *Inspector) GlobalName(f *Frame, objs map[uint64]bool) string {
	found := ""
	i.EachGlobal(f, 5000, func(name func() string, value uint64) bool {
		if objs[value] {
			found = name()
		}
		return found == ""
	})
	return found
}

// EachGlobal calls f for each of the first variables of a frame's module, until f returns false.
func (i *Inspector) EachGlobal(fr *Frame, most int, f func(name func() string, value uint64) bool) {
	dict, err := i.v.u64(fr.Addr + uint64(i.r.l.frame.globals))
	if err != nil || dict == 0 {
		return
	}
	_ = i.r.dictItems(i.v, dict, func(key, value uint64) bool {
		most--
		return f(func() string { return i.Str(key) }, value) && most > 0
	})
}
