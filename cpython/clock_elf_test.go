package cpython

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pyrr/internal/linux"
	"pyrr/internal/setup"
)

// fakeELF is an ELF file made for a test: with dynamic symbols, one function
// of code and data.
type fakeELF struct {
	symbols []string          // defined, at fakeData
	values  map[string]uint64 // of symbols that are elsewhere
	gnuHash bool
	code    []byte
	data    []byte
	noFrame bool // without .eh_frame_hdr
}

const (
	fakeCode = 0x10000
	fakeData = 0x20000
)

// build lays the file out: headers and dynamic tables at 0, code at fakeCode,
// data at fakeData; each a segment.
func (f fakeELF) build() []byte {
	le := binary.LittleEndian
	symtab, strtab := f.symbolTable()
	hash := f.hashTable()

	const headers = 64 + 5*56
	out := make([]byte, headers)
	place := func(b []byte) uint64 {
		for len(out)%8 != 0 {
			out = append(out, 0)
		}
		at := len(out)
		out = append(out, b...)
		return uint64(at)
	}
	dynamic := make([]byte, 0, 80)
	tag := func(t elf.DynTag, v uint64) {
		dynamic = le.AppendUint64(le.AppendUint64(dynamic, uint64(t)), v)
	}
	tag(elf.DT_SYMTAB, place(symtab))
	tag(elf.DT_STRTAB, place(strtab))
	if f.gnuHash {
		tag(elf.DT_GNU_HASH, place(hash))
	} else {
		tag(elf.DT_HASH, place(hash))
	}
	tag(elf.DT_NULL, 0)
	dyn := place(dynamic)
	// A CIE with "zR", an FDE for the code, and the search table.
	cie := []byte{20, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0, 0, 0, 0, 0, 0, 0}
	eh := place(cie)
	fde := le.AppendUint32(nil, 20)
	fde = le.AppendUint32(fde, uint32(len(cie)+4))
	fde = le.AppendUint32(fde, uint32(fakeCode-(eh+uint64(len(cie))+8)))
	fde = le.AppendUint32(fde, uint32(max(len(f.code), 1)))
	fdeAt := place(append(fde, 0, 0, 0, 0, 0, 0, 0, 0))
	hdr := []byte{1, 0x1b, 0x03, 0x3b, 0, 0, 0, 0, 1, 0, 0, 0}
	hdrAt := uint64(len(out)+7) &^ 7
	hdr = le.AppendUint32(hdr, uint32(fakeCode-hdrAt))
	hdr = le.AppendUint32(hdr, uint32(fdeAt-hdrAt))
	place(hdr)

	end := uint64(len(out))
	codeAt := place(f.code)
	dataAt := place(f.data)
	copy(out, elf.ELFMAG)
	out[4], out[5], out[6] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	le.PutUint16(out[16:], uint16(elf.ET_EXEC))
	le.PutUint16(out[18:], uint16(elf.EM_X86_64))
	le.PutUint64(out[32:], 64)
	le.PutUint16(out[54:], 56)
	le.PutUint16(out[56:], 5)
	ph := out[64:]
	prog := func(typ elf.ProgType, flags elf.ProgFlag, off, vaddr, size uint64) {
		le.PutUint32(ph, uint32(typ))
		le.PutUint32(ph[4:], uint32(flags))
		for i, v := range []uint64{off, vaddr, vaddr, size, size, 8} {
			le.PutUint64(ph[8+8*i:], v)
		}
		ph = ph[56:]
	}
	prog(elf.PT_LOAD, elf.PF_R, 0, 0, end)
	prog(elf.PT_LOAD, elf.PF_R|elf.PF_X, codeAt, fakeCode, uint64(len(f.code)))
	prog(elf.PT_LOAD, elf.PF_R|elf.PF_W, dataAt, fakeData, uint64(len(f.data)))
	prog(elf.PT_DYNAMIC, elf.PF_R, dyn, dyn, uint64(len(dynamic)))
	if f.noFrame {
		prog(elf.PT_NULL, 0, 0, 0, 0)
	} else {
		prog(elf.PT_GNU_EH_FRAME, elf.PF_R, hdrAt, hdrAt, uint64(len(hdr)))
	}
	return out
}

// hashTable is the table by which symbols are found: of GNU's kind or the older one.
func (f fakeELF) hashTable() []byte {
	le, names := binary.LittleEndian, f.symbols
	var hash []byte
	n := uint32(len(names))
	if f.gnuHash {
		// Buckets, first symbol, bloom words and shift, bloom, the only bucket.
		for _, v := range []uint32{1, 1, 1, 0, 0, 0, 1} {
			hash = le.AppendUint32(hash, v)
		}
		for i, name := range names {
			h := uint32(5381)
			for _, c := range []byte(name) {
				h = h*33 + uint32(c)
			}
			h &^= 1
			if i == len(names)-1 {
				h |= 1
			}
			hash = le.AppendUint32(hash, h)
		}
	} else {
		for _, v := range []uint32{1, n + 1, min(n, 1), 0} { // buckets, chains, bucket, chain of 0
			hash = le.AppendUint32(hash, v)
		}
		for i := range n {
			next := i + 2
			if i == n-1 {
				next = 0
			}
			hash = le.AppendUint32(hash, next)
		}
	}
	return hash
}

// symbolTable is a symbol table and the names in it.
func (f fakeELF) symbolTable() ([]byte, []byte) {
	le := binary.LittleEndian
	var strtab bytes.Buffer
	strtab.WriteByte(0)
	symtab := make([]byte, elf.Sym64Size)
	for _, name := range f.symbols {
		value, ok := f.values[name]
		if !ok {
			value = fakeData
		}
		symtab = le.AppendUint32(symtab, uint32(strtab.Len()))
		symtab = append(symtab, 0x11, 0)
		symtab = le.AppendUint16(symtab, 1)
		symtab = le.AppendUint64(symtab, value)
		symtab = le.AppendUint64(symtab, 64)
		strtab.WriteString(name + "\x00")
	}
	return symtab, strtab.Bytes()
}

const fakeTable = fakeData + 64

// fakePython is an interpreter of 3.12 with sites dispatches, all but the
// last odd of which have next_instr in r15, those in r14.
func fakePython(sites, odd int) fakeELF {
	le := binary.LittleEndian
	set := opcodeSet(rulesOf(12).unassigned)
	data := make([]byte, 64)
	le.PutUint32(data, 0x030c01f0) // Py_Version; _PyRuntime is here as well
	for op := range opcodes {
		to := uint64(fakeCode + 1 + op)
		if set[op] {
			to = fakeCode
		}
		data = le.AppendUint64(data, to)
	}
	code := bytes.Repeat([]byte{0x90}, 512)
	for i := range sites {
		load := []byte{0x41, 0x0f, 0xb6, 0x07} // movzx eax, byte [r15]
		if i >= sites-odd {
			load = []byte{0x41, 0x0f, 0xb6, 0x06} // [r14]
		}
		code = append(append(code, load...), 0xff, 0x24, 0xc5) // jmp [rax*8+T]
		code = le.AppendUint32(code, fakeTable)
	}
	return fakeELF{symbols: []string{"_PyRuntime", "Py_Version"}, code: code, data: data}
}

// sharedPython is a fakePython whose dispatches are ways to one and the same jump.
func sharedPython(ways, odd int) fakeELF {
	f := fakePython(ways, odd)
	code := bytes.Repeat([]byte{0x90}, 512)
	for i := range ways {
		load := []byte{0x41, 0x0f, 0xb6, 0x07} // movzx eax, byte [r15]
		if i < odd {
			load = []byte{0x41, 0x0f, 0xb6, 0x06} // [r14]
		}
		if code = append(code, load...); i < ways-1 {
			code = binary.LittleEndian.AppendUint32(append(code, 0xe9), uint32(9*(ways-2-i)+4)) // jmp behind the last load
		}
	}
	f.code = binary.LittleEndian.AppendUint32(append(code, 0xff, 0x24, 0xc5), fakeTable)
	return f
}

// slotPython is a fakePython whose compiler had no register left for next_instr: each dispatch
// loads it from [base+16], or puts it there when it has moved it on.
func slotPython(sites, odd int, base byte) fakeELF {
	f := fakePython(sites, 0)
	slot := []byte{0x44, 0x24, 16} // rsp
	if base == 5 {
		slot = []byte{0x45, 16}
	}
	code := bytes.Repeat([]byte{0x90}, 512)
	for i := range sites {
		at := slices.Clone(slot)
		if i < odd {
			at[len(at)-1] = 24
		}
		code = append(append(code, 0x48, 0x8b), at...) // mov rax, [slot]
		switch i % 3 {
		case 1:
			code = append(append(code, 0x48, 0x83, 0xc0, 0x02, 0x48, 0x89), at...) // add rax, 2; mov [slot], rax
		case 2:
			code = append(append(code, 0x0f, 0xb7, 0x08, 0x48, 0x83), at...) // movzx ecx, word [rax]; add qword [slot], 2
			code = append(append(append(code, 0x02), 0x48, 0x8b), at...)     // mov rax, [slot]
		}
		code = append(code, 0x0f, 0xb7, 0x00, 0x0f, 0xb6, 0xc0, 0xff, 0x24, 0xc5) // movzx eax, word [rax]; movzx eax, al; jmp [rax*8+T]
		code = binary.LittleEndian.AppendUint32(code, fakeTable)
	}
	f.code = code
	return f
}

// switchPython is a fakePython without computed gotos: ways lead to the jump of a switch
// whose table holds offsets.
func switchPython(minor, ways, odd int) fakeELF {
	f, le, unused := sharedPython(ways, odd), binary.LittleEndian, opcodeSet(rulesOf(minor).unassigned)
	code := f.code[:len(f.code)-7] // without the jump
	next := fakeCode + len(code) + 7
	code = le.AppendUint32(append(code, 0x48, 0x8d, 0x3d), uint32(fakeTable-next)) // lea rdi, [T]
	f.code = append(code, 0x48, 0x63, 0x04, 0x87, 0x48, 0x01, 0xf8, 0xff, 0xe0)    // movsxd rax, [rdi+rax*4]; add rax, rdi; jmp rax
	f.data = f.data[:64]
	le.PutUint32(f.data, 0x03000000|uint32(minor)<<16|0x01f0)
	for op := range opcodes {
		to := fakeCode + 1 + op
		if unused[op] {
			to = fakeCode
		}
		f.data = le.AppendUint32(f.data, uint32(to-fakeTable))
	}
	f.symbols = append(f.symbols, "_PyEval_EvalFrameDefault")
	f.values = map[string]uint64{"_PyEval_EvalFrameDefault": fakeCode}
	return f
}

// find runs the analysis on an ELF file in memory.
func find(b []byte) (*Clock, error) {
	im, err := readELF(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotPython, err)
	}
	c, err := im.findClock("fake")
	if err == nil {
		err = c.check()
	}
	return c, err
}

func TestFindClockInMadeFiles(t *testing.T) {
	with := func(f fakeELF, change func(*fakeELF)) fakeELF {
		f.data = bytes.Clone(f.data)
		change(&f)
		return f
	}
	good := fakePython(60, 0)
	tests := []struct {
		name string
		elf  fakeELF
		want string // in the error, "" for none
	}{
		{"good", good, ""},
		{"GNU hash table", with(good, func(f *fakeELF) { f.gnuHash = true }), ""},
		{"few sites", fakePython(49, 0), "only 49 jumps"},
		{"ways to one jump", sharedPython(60, 0), ""},
		{"few ways to one jump", sharedPython(49, 0), "only 49 jumps"},
		{"switch", switchPython(13, 60, 0), ""},
		{"few ways to a switch", switchPython(13, 49, 0), "only 49 jumps"},
		{"a switch with shortcuts", switchPython(12, 60, 0), "without the known table"},
		{"a switch's ways disagree", switchPython(13, 100, 30), "no register is next_instr"},
		{"ways disagree", sharedPython(100, 30), "no register is next_instr"},
		{"registers disagree", fakePython(100, 30), "no register is next_instr"},
		{"slots disagree", slotPython(100, 30, 4), "no register is next_instr"},
		{"no functions", with(good, func(f *fakeELF) { f.noFrame = true }), "no .eh_frame_hdr"},
		{"no runtime", with(good, func(f *fakeELF) { f.symbols = []string{"main"} }), "no CPython runtime"},
		{"3.7", with(good, func(f *fakeELF) { binary.LittleEndian.PutUint32(f.data, 0x030710f0) }), "CPython 3.7.16 is too old"},
		{"3.16", with(good, func(f *fakeELF) { binary.LittleEndian.PutUint32(f.data, 0x031002f0) }), "CPython 3.16.2 is too new"},
		{"2.7", with(good, func(f *fakeELF) { f.symbols = []string{"PyEval_EvalFrameEx", "Py_GetVersion"} }), "this CPython is too old"},
		{"other version's opcodes", with(good, func(f *fakeELF) { binary.LittleEndian.PutUint32(f.data, 0x030b02f0) }), "without the known table"},
		{"debug build", with(good, func(f *fakeELF) { f.symbols = append(f.symbols[:2:2], "_Py_NegativeRefcount") }), "a debug build of CPython 3.12.1"},
		{"free-threaded by symbol", with(good, func(f *fakeELF) { f.symbols = append(f.symbols[:2:2], "_Py_MergeZeroLocalRefcount") }), "free-threaded"},
		{"free-threaded by offsets", with(good, func(f *fakeELF) {
			f.values = map[string]uint64{"_PyRuntime": fakeData + 8}
			copy(f.data[8:], debugCookie)
			f.data[24] = 1
		}), "free-threaded"},
		{"PyPy", with(good, func(f *fakeELF) { f.symbols = []string{"pypy_main_startup", "Py_GetVersion"} }), "PyPy"},
		{"two tables", with(good, func(f *fakeELF) { f.data = append(f.data, f.data[64:]...) }), "2 tables look like"},
		{"unassigned opcode has code", with(good, func(f *fakeELF) {
			binary.LittleEndian.PutUint64(f.data[64+8*200:], fakeCode+7)
		}), "without the known table"},
		{"assigned opcode has none", with(good, func(f *fakeELF) {
			binary.LittleEndian.PutUint64(f.data[64+8*100:], fakeCode)
		}), "without the known table"},
		{"few targets", with(good, func(f *fakeELF) {
			for op := range opcodes {
				if p := f.data[64+8*op:]; binary.LittleEndian.Uint64(p) != fakeCode {
					binary.LittleEndian.PutUint64(p, uint64(fakeCode+1+op%90))
				}
			}
		}), "without the known table"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := find(tt.elf.build())
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v, want %q", err, tt.want)
				}
				if ce := (*ClockError)(nil); errors.As(err, &ce) == errors.Is(err, ErrNotPython) {
					t.Errorf("%T is of both kinds or none", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Tables[0].Addr != fakeTable || c.Sites != 60 || c.NextInstr != (NextInstr{Reg: 15}) || c.Version.Micro != 1 || c.Relocated {
				t.Errorf("found %+v", c)
			}
		})
	}
}

// TestNextInstrOnStack finds next_instr where no register holds it at the dispatches.
func TestNextInstrOnStack(t *testing.T) {
	for _, base := range []Reg{4, 5} {
		c, err := find(slotPython(60, 0, byte(base)).build())
		if err != nil {
			t.Fatal(err)
		}
		want := NextInstr{Reg: base, InStack: true, Off: 16}
		if c.NextInstr != want {
			t.Errorf("next_instr at %v, want %v", c.NextInstr, want)
		}
		if got := DecodeNextInstr(want.Encode(c.Version), c.Version); got != want {
			t.Errorf("%v is %v when it was encoded", want, got)
		}
		var stack [8]byte
		binary.LittleEndian.PutUint64(stack[:], 0x4242)
		regs := linux.Regs{Rsp: 0x7000, Rbp: 0x7000}
		if at := want.At(written{{0x7010, stack[:]}}, &regs); at != 0x4242 {
			t.Errorf("next_instr is %#x", at)
		}
		if at := want.At(written{}, &regs); at != 0 {
			t.Errorf("next_instr is %#x without a stack", at)
		}
	}
}

// FuzzFindClock holds that no file makes the analysis panic, or find a clock
// that breaks its rules.
func FuzzFindClock(f *testing.F) {
	for _, e := range []fakeELF{fakePython(60, 0), sharedPython(60, 0), slotPython(60, 0, 4), switchPython(13, 60, 0), {symbols: []string{"x"}, gnuHash: true}} {
		b := e.build()
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(b[:100])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		start := time.Now()
		defer func() {
			if d := time.Since(start); setup.Slow(d, 5*time.Second) {
				t.Errorf("took %v", d)
			}
		}()
		c, err := find(b)
		if err == nil && c.Sites < minSites {
			t.Errorf("clock with %d sites", c.Sites)
		}
		if im, err := readELF(bytes.NewReader(b)); err == nil {
			im.imports("Py_BytesMain")
		}
	})
}

// FuzzUnmarshalClock holds that a stored clock that is accepted writes only
// inside its module and its area.
func FuzzUnmarshalClock(f *testing.F) {
	c, err := find(fakePython(60, 0).build())
	if err != nil {
		f.Fatal(err)
	}
	b, err := MarshalClock(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(bytes.Replace(b, []byte(`"Entries":256`), []byte(`"Entries":255`), 1))
	f.Add(bytes.Replace(b, []byte(`"Rel32":false`), []byte(`"Rel32":true`), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := UnmarshalClock(b)
		if err != nil {
			return
		}
		const area = 1 << 46
		in, err := c.InstalledAt(0, area)
		if err != nil {
			return
		}
		for _, w := range append(in.Writes, in.Restore()...) {
			end := w.Addr + uint64(len(w.Data))
			inArea := w.Addr >= area && end <= area+AreaCodeSize+AreaDataSize
			if lo, hi := c.LoadRange(); !inArea && (w.Addr < lo || end > hi) {
				t.Errorf("write to %#x–%#x, module %#x–%#x", w.Addr, end, lo, hi)
			}
		}
	})
}
