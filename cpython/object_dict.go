package cpython

import "fmt"

// dictKeys is a dict's key table (struct _dictkeysobject, pycore_dict.h).
type dictKeys struct {
	addr      uint64
	entries   uint64 // address of the entries
	n         int    // entries in use, deleted ones included
	entrySize uint64
	key       uint64 // offsets into an entry
	value     uint64
}

// maxEntries bounds the entries of one dict that are looked at.
const maxEntries = 1 << 20

func (r *Runtime) dictKeys(v *view, addr uint64) (dictKeys, error) {
	l := r.l
	s, err := v.record("dict keys", addr, l.keys.indices)
	if err != nil {
		return dictKeys{}, err
	}
	d := dictKeys{addr: addr, entrySize: 24, key: 8, value: 16}
	n := s.u64(l.keys.nentries)
	var indexBytes uint64
	if l.keys.size != no {
		// Up to 3.10 the width of an index follows from the number of slots.
		size := s.u64(l.keys.size)
		switch {
		case size <= 0xff:
			indexBytes = size
		case size <= 0xffff:
			indexBytes = size * 2
		default:
			indexBytes = size * 4
		}
		if size > 1<<32 {
			return d, fmt.Errorf("dict keys at %#x: size %d", addr, size)
		}
	} else {
		shift := s.u8(l.keys.log2IndexBytes)
		if shift > 40 {
			return d, fmt.Errorf("dict keys at %#x: 1<<%d bytes of indices", addr, shift)
		}
		indexBytes = 1 << shift
		if s.u8(l.keys.kind) != 0 {
			// DICT_KEYS_UNICODE, DICT_KEYS_SPLIT: PyDictUnicodeEntry has no hash.
			d.entrySize, d.key, d.value = 16, 0, 8
		}
	}
	if n > 1<<40 {
		return d, fmt.Errorf("dict keys at %#x: %d entries", addr, n)
	}
	d.n = min(int(n), maxEntries)
	d.entries = addr + uint64(l.keys.indices) + indexBytes
	return d, nil
}

// entry returns entry i.
func (d dictKeys) entry(v *view, i int) (key, value uint64, err error) {
	s, err := v.record("dict entry", d.entries+uint64(i)*d.entrySize, int(d.entrySize))
	if err != nil {
		return 0, 0, err
	}
	return s.u64(int(d.key)), s.u64(int(d.value)), nil
}

// dictItems calls f for each item of the dict at addr in the order of
// insertion, until f returns false.
func (r *Runtime) dictItems(v *view, addr uint64, f func(key, value uint64) bool) error {
	l := r.l
	s, err := v.record("dict", addr, max(l.dict.values, l.dict.keys)+8)
	if err != nil {
		return err
	}
	keys, err := r.dictKeys(v, s.u64(l.dict.keys))
	if err != nil {
		return err
	}
	if values := s.u64(l.dict.values); values != 0 {
		return r.splitItems(v, keys, values, f)
	}
	for i := range keys.n {
		key, value, err := keys.entry(v, i)
		if err != nil {
			return err
		}
		v.at = keys.entries + uint64(i)*keys.entrySize + keys.value
		if key != 0 && value != 0 && !f(key, value) {
			break
		}
	}
	return nil
}

// splitItems goes through a dict whose values lie apart from its keys: a
// split table or the inline values of an instance. values is the PyObject**
// of 3.8 to 3.10, or the struct _dictvalues (pycore_dict.h) from 3.11 on,
// which also has the order of insertion: a byte for each value, before the
// values in 3.11 and 3.12, behind them later.
func (r *Runtime) splitItems(v *view, keys dictKeys, values uint64, f func(key, value uint64) bool) error {
	var order []byte
	slots := values
	switch r.l.rules.dictValues {
	case valuesOnly:
		order = nil
	case valuesOrderBefore:
		head, err := v.bytes(values-2, 2)
		if err != nil {
			return fmt.Errorf("dict values: %w", err)
		}
		n := int(head[0])
		b, err := v.bytes(values-2-uint64(n), n)
		if err != nil {
			return fmt.Errorf("order of dict values: %w", err)
		}
		for i := range b {
			order = append(order, b[n-1-i])
		}
	default:
		head, err := v.bytes(values, 4)
		if err != nil {
			return fmt.Errorf("dict values: %w", err)
		}
		capacity, n := int(head[0]), int(head[1])
		slots = values + 8
		if order, err = v.bytes(slots+uint64(capacity)*8, n); err != nil {
			return fmt.Errorf("order of dict values: %w", err)
		}
	}
	n := len(order)
	if r.l.rules.dictValues == valuesOnly {
		n = keys.n
	}
	for i := range n {
		at := i
		if order != nil {
			at = int(order[i])
		}
		if at >= keys.n {
			return fmt.Errorf("dict value %d of %d keys", at, keys.n)
		}
		value, err := v.u64(slots + 8*uint64(at))
		if err != nil {
			return fmt.Errorf("dict values: %w", err)
		}
		key, _, err := keys.entry(v, at)
		if err != nil {
			return err
		}
		v.at = slots + 8*uint64(at)
		if key != 0 && value != 0 && !f(key, value) {
			break
		}
	}
	return nil
}

// lookup returns the value of a str key, 0 when the dict does not have it.
func (r *Runtime) lookup(v *view, dict uint64, name string) (uint64, error) {
	var found uint64
	err := r.dictItems(v, dict, func(key, value uint64) bool {
		if r.isString(v, key, name) {
			found = value
		}
		return found == 0
	})
	return found, err
}

// isString tells whether the object at addr reads as the ASCII str s. One that does not
// read so is not noted: without it a later reader is told the same.
func (r *Runtime) isString(v *view, addr uint64, s string) bool {
	is := func(v *view) bool {
		b, err := v.bytes(addr, r.l.str.ascii)
		if err != nil || (record{addr, b}).u64(r.l.str.length) != uint64(len(s)) {
			return false
		}
		raw, err := r.rawString(v, addr, len(s))
		return err == nil && raw.kind == 1 && string(raw.data) == s
	}
	p := v.unnotedView()
	return is(p) && (p == v || is(v))
}

// Bits of PyTypeObject.tp_flags (object.h, cpython/object.h).
const (
	flagInlineValues = 1 << 2 // 3.13
	flagManagedDict  = 1 << 4 // 3.11
	flagHeapType     = 1 << 9
	flagLong         = 1 << 24
	flagList         = 1 << 25
	flagTuple        = 1 << 26
	flagBytes        = 1 << 27
	flagStr          = 1 << 28
	flagDict         = 1 << 29
	flagException    = 1 << 30
	flagType         = 1 << 31
)

// typeInfo is what the reader needs of a type object.
type typeInfo struct {
	addr       uint64
	name       string // last part of tp_name
	flags      uint64
	basicSize  uint64
	itemSize   uint64
	dictOffset int64
	base       uint64
	members    uint64
	cachedKeys uint64
}

func (r *Runtime) typeInfo(v *view, typ uint64) (typeInfo, error) {
	l := r.l
	s, err := v.record("type object", typ, max(l.typ.dictOffset, l.typ.base, l.typ.members)+8)
	if err != nil {
		return typeInfo{}, err
	}
	t := typeInfo{
		addr:       typ,
		flags:      s.u64(l.typ.flags),
		basicSize:  s.u64(l.typ.basicSize),
		itemSize:   s.u64(l.typ.basicSize + 8), // tp_itemsize is the next member
		dictOffset: int64(s.u64(l.typ.dictOffset)),
		base:       s.u64(l.typ.base),
		members:    s.u64(l.typ.members),
	}
	if t.name, err = v.cstring(s.u64(l.typ.name), 256); err != nil {
		return t, fmt.Errorf("tp_name: %w", err)
	}
	t.name = printable(afterLastDot(t.name))
	if t.flags&flagHeapType != 0 {
		if t.cachedKeys, err = v.u64(typ + uint64(l.typ.cachedKeys)); err != nil {
			return t, fmt.Errorf("ht_cached_keys: %w", err)
		}
	}
	return t, nil
}

// attributes calls f for each attribute in the dict of the instance at obj
// and then in its slots, until f returns false.
func (r *Runtime) attributes(v *view, obj uint64, t typeInfo, f func(name string, value uint64) bool) error {
	more := true
	item := func(key, value uint64) bool {
		name, err := r.rawString(v, key, 256)
		if err == nil {
			more = f(name.text(), value)
		}
		return more
	}
	if err := r.instanceDict(v, obj, t, item); err != nil {
		return err
	}
	for range 32 { // classes of a chain of bases
		if !more || t.flags&flagHeapType == 0 {
			return nil
		}
		if err := r.slots(v, obj, t, func(name string, value uint64) bool {
			more = f(name, value)
			return more
		}); err != nil {
			return err
		}
		if t.base == 0 {
			return nil
		}
		var err error
		if t, err = r.typeInfo(v, t.base); err != nil {
			return err
		}
	}
	return nil
}

// instanceDict goes through an instance's __dict__, wherever the version
// keeps it: in 3.11 and 3.12 in a word before the object, or as values for
// the type's cached keys; later the values may be inside the object.
func (r *Runtime) instanceDict(v *view, obj uint64, t typeInfo, f func(key, value uint64) bool) error {
	dict, values := uint64(0), uint64(0)
	var err error
	switch form := r.l.rules.attributes; {
	case t.flags&flagManagedDict == 0 || form == dictAtOffset:
		var at uint64
		if at, err = r.dictAddr(v, obj, t); err == nil && at != 0 {
			dict, err = v.u64(at)
		}
	case form == dictOrValuesWords:
		if values, err = v.u64(obj - 32); err == nil && values == 0 {
			dict, err = v.u64(obj - 24)
		}
	case form == dictOrValuesTagged:
		if dict, err = v.u64(obj - 24); err == nil && dict&1 != 0 {
			dict, values = 0, dict+1
		}
	default:
		at := obj - 24
		if r.l.freeThreaded {
			at = obj - 8
		}
		if dict, err = v.u64(at); err == nil && dict == 0 && t.flags&flagInlineValues != 0 {
			// Once the object has had a dict, its inline values are invalid
			// (struct _dictvalues: capacity, size, embedded, valid).
			var head []byte
			if head, err = v.bytes(obj+t.basicSize, 4); err == nil && head[3] != 0 {
				values = obj + t.basicSize
			}
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("__dict__: %w", err)
	case dict != 0:
		return r.dictItems(v, dict, f)
	case values != 0 && t.cachedKeys != 0:
		keys, err := r.dictKeys(v, t.cachedKeys)
		if err != nil {
			return err
		}
		return r.splitItems(v, keys, values, f)
	}
	return nil
}

// dictAddr returns where an object has the pointer to its __dict__, by
// tp_dictoffset; 0 when it has none. A negative one counts from the end of an
// object of variable size (_PyObject_GetDictPtr, Objects/object.c).
func (r *Runtime) dictAddr(v *view, obj uint64, t typeInfo) (uint64, error) {
	const limit = 1 << 40
	off := t.dictOffset
	if off < 0 && t.itemSize > 0 {
		s, err := v.record("object", obj, r.l.object.size+8)
		if err != nil {
			return 0, err
		}
		n := int64(s.u64(r.l.object.size))
		if r.l.long.tag != no && t.flags&flagLong != 0 {
			n >>= 3 // lv_tag
		}
		n = max(n, -n) // the size of an int before 3.12 carries its sign
		if n < 0 || n > limit/16 || t.itemSize > 16 || t.basicSize > 1<<20 {
			return 0, fmt.Errorf("object at %#x: %d items of %d bytes", obj, n, t.itemSize)
		}
		off += (int64(t.basicSize) + n*int64(t.itemSize) + 7) &^ 7
	}
	if off <= 0 || off > limit {
		return 0, nil
	}
	return obj + uint64(off), nil
}

// slots goes through the __slots__ that a heap type itself adds.
func (r *Runtime) slots(v *view, obj uint64, t typeInfo, f func(name string, value uint64) bool) error {
	return r.members(v, t, func(name string, offset uint64) (bool, error) {
		value, err := v.u64(obj + offset)
		if err != nil {
			return false, fmt.Errorf("slot: %w", err)
		}
		v.at = obj + offset
		return value == 0 || f(name, value), nil
	})
}

// members goes through the tp_members (PyMemberDef, structmember.h) of a type that
// hold objects: their names, and where an instance has them.
func (r *Runtime) members(v *view, t typeInfo, f func(name string, offset uint64) (more bool, err error)) error {
	const (
		stride    = 40
		tObject   = 6  // T_OBJECT, Py_T_OBJECT
		tObjectEx = 16 // T_OBJECT_EX
	)
	for i := range uint64(64) {
		if t.members == 0 {
			return nil
		}
		s, err := v.record("PyMemberDef", t.members+i*stride, stride)
		if err != nil {
			return err
		}
		if s.u64(0) == 0 {
			return nil
		}
		if typ := s.i32(8); typ != tObject && typ != tObjectEx {
			continue
		}
		name, err := v.cstring(s.u64(0), 256)
		if err != nil {
			return fmt.Errorf("slot: %w", err)
		}
		if more, err := f(printable(name), s.u64(16)); err != nil || !more {
			return err
		}
	}
	return nil
}
