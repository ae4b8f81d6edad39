package cpython

import (
	"bytes"
	"fmt"
	"slices"
)

// A code cache is dropped whole when it holds this much.
const (
	maxCachedCodes = 1 << 16
	maxCachedBytes = 256 << 20
)

// codeKey are the fields of a code object that tell it from another made
// later at the same address.
type codeKey struct {
	filename, name, lineTable uint64
	firstLine, flags, units   int
}

// code is what the walker needs of a code object.
type code struct {
	key       codeKey
	file      rawStr
	name      rawStr // co_qualname, or co_name before 3.11
	lineTable []byte

	proof []proof // see sameCode

	fileText, nameText string
	dynamic            bool // see Tracker
	traceable          int  // _co_firsttraceable: code units before the first instruction that is shown
	positions          []position
}

// codeCache holds decoded code objects by address.
type codeCache struct {
	m    map[uint64]*code
	size int
}

func (c *codeCache) put(addr uint64, co *code) {
	size := len(co.lineTable)*4 + len(co.file.data)*2 + len(co.name.data)*2 + 256
	if c.m == nil || len(c.m) >= maxCachedCodes || c.size+size > maxCachedBytes {
		c.m, c.size = make(map[uint64]*code), 0
	}
	c.m[addr] = co
	c.size += size
}

// codeRecord reads the fixed part of a code object and its key.
func (r *Runtime) codeRecord(v *view, addr uint64) (record, codeKey, error) {
	s, err := v.record("code object", addr, r.l.code.size)
	if err != nil {
		return record{}, codeKey{}, err
	}
	return s, r.keyOf(s), nil
}

func (r *Runtime) keyOf(s record) codeKey {
	l := r.l
	k := codeKey{
		filename:  s.u64(l.code.filename),
		name:      s.u64(l.code.name),
		lineTable: s.u64(l.code.lineTable),
		firstLine: s.i32(l.code.firstLine),
		flags:     s.i32(l.code.flags),
	}
	if l.code.qualname != no {
		k.name = s.u64(l.code.qualname)
	}
	if l.rules.Qualified {
		k.units = s.i32(l.object.size) // Py_SIZE: code units
	}
	return k
}

// trusted returns the code object at addr if a Tracker has it already: what is
// read of it then, to see whether it still is the same, is left for checkTrusted.
func (w *walk) trusted(addr uint64) *code {
	if !w.track || w.distrust || w.r.l.code.tlbc != no {
		return nil
	}
	w.r.mu.Lock()
	co := w.r.codes.m[addr]
	w.r.mu.Unlock()
	if co == nil || len(co.proof) == 0 || len(w.check) >= maxCheck {
		return nil
	}
	w.check = append(w.check, codeCheck{addr, co})
	return co
}

// maxCheck is how many code objects are looked at afterwards, with one read.
const maxCheck = 16

// codeCheck is a code object that was taken for the one known.
type codeCheck struct {
	addr uint64
	co   *code
}

// proofPieces is how many pieces of memory tell that a code object is the known one.
const proofPieces = 7

// proofReads are what checkTrusted reads, and what it has to compare.
type proofReads struct {
	bufs  [maxCheck * proofPieces][]byte
	addrs [maxCheck * proofPieces]uint64
	have  [maxCheck * proofPieces][]byte
}

// checkTrusted tells whether all code objects of a walk that were taken for
// known ones are those, by reading all that tells with one call.
func (w *walk) checkTrusted() bool {
	read := w.v.batch()
	if len(w.check) == 0 || read == nil {
		return len(w.check) == 0
	}
	bufs, addrs, have := &w.v.proof.bufs, &w.v.proof.addrs, &w.v.proof.have
	n, room := 0, w.v.room[:]
	// want returns what is, or will be, at an address.
	want := func(addr uint64, size int) []byte {
		if b, ok := w.v.cached(addr, size); ok {
			return b
		}
		for i := n - 1; i >= 0; i-- { // functions of one file share its name
			if addrs[i] == addr && len(bufs[i]) == size {
				return bufs[i]
			}
		}
		if size > len(room) || n == len(bufs) {
			return nil
		}
		b := room[:size:size]
		addrs[n], bufs[n], room = addr, b, room[size:]
		n++
		return b
	}
	k := 0
	for _, c := range w.check {
		if len(c.co.proof) != proofPieces-1 {
			return false
		}
		if have[k] = want(c.addr, w.r.l.code.size); have[k] == nil {
			return false
		}
		k++
		for _, p := range c.co.proof {
			if have[k] = want(p.addr, len(p.want)); have[k] == nil {
				return false
			}
			k++
		}
	}
	w.v.left -= n * accessCost
	if n > 0 && read(bufs[:n], addrs[:n]) < n {
		return false
	}
	k = 0
	for _, c := range w.check {
		if w.r.keyOf(record{c.addr, have[k]}) != c.co.key {
			return false
		}
		k++
		for _, p := range c.co.proof {
			if !bytes.Equal(have[k], p.want) {
				return false
			}
			k++
		}
	}
	return true
}

// code returns the code object at addr. A cached one counts only while
// memory still has the same pointers and the same file name, name and line
// table behind them: a program may free a code object and make another one
// in its place.
func (r *Runtime) code(v *view, addr uint64) (*code, record, error) {
	r.mu.Lock()
	old := r.codes.m[addr]
	r.mu.Unlock()
	if old != nil {
		if s, ok := r.known(v, addr, old); ok {
			return old, s, nil
		}
	}
	s, key, err := r.codeRecord(v, addr)
	if err != nil {
		return nil, s, err
	}
	if old != nil && old.key == key {
		same, err := r.sameCode(v, old)
		if err != nil {
			return nil, s, fmt.Errorf("code object at %#x: %w", addr, err)
		}
		if same {
			return old, s, nil
		}
	}
	co, err := r.readCode(v, addr, key)
	if err != nil {
		return nil, s, fmt.Errorf("code object at %#x: %w", addr, err)
	}
	r.mu.Lock()
	r.codes.put(addr, co)
	r.mu.Unlock()
	return co, s, nil
}

// proof is a piece of memory that shows that a code object is the one known.
type proof struct {
	addr uint64
	want []byte
}

// proofOf returns the pieces that hold an object's length and content, the
// content being want at data: what lies around them may change.
func (r *Runtime) proofOf(v *view, length, data uint64, want []byte) []proof {
	b, err := v.bytes(length, 8)
	if err != nil {
		return nil
	}
	return []proof{{length, bytes.Clone(b)}, {data, want}}
}

// known tells whether the code object at addr is the one known, by reading
// all that tells with one call. The record is good until the next call.
func (r *Runtime) known(v *view, addr uint64, co *code) (record, bool) {
	read := v.batch()
	if len(co.proof) == 0 || read == nil {
		return record{}, false
	}
	var addrs [8]uint64
	var bufs, against [8][]byte
	n, room := 0, v.room[:]
	want := func(addr uint64, size int, b []byte) ([]byte, bool) {
		if got, ok := v.cached(addr, size); ok {
			return got, b == nil || bytes.Equal(got, b)
		}
		if size > len(room) {
			return nil, false
		}
		addrs[n], bufs[n], against[n] = addr, room[:size:size], b
		room = room[size:]
		n++
		return bufs[n-1], true
	}
	raw, ok := want(addr, r.l.code.size, nil)
	for i := 0; ok && i < len(co.proof); i++ {
		_, ok = want(co.proof[i].addr, len(co.proof[i].want), co.proof[i].want)
	}
	if !ok {
		return record{}, false
	}
	v.left -= n * accessCost
	if n > 0 && read(bufs[:n], addrs[:n]) < n {
		return record{}, false
	}
	for i := range n {
		if against[i] != nil && !bytes.Equal(bufs[i], against[i]) {
			return record{}, false
		}
	}
	s := record{addr, raw}
	return s, r.keyOf(s) == co.key
}

// sameCode compares the file name, name and line table of a code object with
// those that it had.
func (r *Runtime) sameCode(v *view, co *code) (bool, error) {
	file, err := r.rawString(v, co.key.filename, maxString)
	if err != nil {
		return false, fmt.Errorf("file name: %w", err)
	}
	name, err := r.rawString(v, co.key.name, maxString)
	if err != nil {
		return false, fmt.Errorf("name: %w", err)
	}
	table, err := r.rawBytes(v, co.key.lineTable, maxLineTable)
	if err != nil {
		return false, fmt.Errorf("line table: %w", err)
	}
	return file.equal(co.file) && name.equal(co.name) && bytes.Equal(table, co.lineTable), nil
}

func (r *Runtime) readCode(v *view, addr uint64, key codeKey) (*code, error) {
	typ, err := r.typeName(v, addr)
	if err != nil {
		return nil, err
	}
	if typ != "code" {
		return nil, fmt.Errorf("is a %q", typ)
	}
	file, err := r.rawString(v, key.filename, maxString)
	if err != nil {
		return nil, fmt.Errorf("file name: %w", err)
	}
	name, err := r.rawString(v, key.name, maxString)
	if err != nil {
		return nil, fmt.Errorf("name: %w", err)
	}
	table, err := r.rawBytes(v, key.lineTable, maxLineTable)
	if err != nil {
		return nil, fmt.Errorf("line table: %w", err)
	}
	co := &code{key: key, file: file.clone(), name: name.clone(), lineTable: bytes.Clone(table)}
	co.fileText, co.nameText = co.file.text(), co.name.text()
	co.dynamic = dynamicFile(co.fileText)
	pieces := [][]proof{
		r.proofOf(v, key.filename+uint64(r.l.str.length), file.at, co.file.data),
		r.proofOf(v, key.name+uint64(r.l.str.length), name.at, co.name.data),
		r.proofOf(v, key.lineTable+uint64(r.l.object.size), key.lineTable+uint64(r.l.bytes.value), co.lineTable),
	}
	if pieces[0] != nil && pieces[1] != nil && pieces[2] != nil && len(co.file.data) > 0 && len(co.name.data) > 0 && len(co.lineTable) > 0 {
		co.proof = slices.Concat(pieces...)
	}
	if s, err := v.record("code object", addr, r.l.code.size); err == nil {
		co.traceable = s.i32(r.l.code.firstTraceable)
	}
	co.positions = r.l.rules.lines(co.lineTable, key.firstLine)
	return co, nil
}
