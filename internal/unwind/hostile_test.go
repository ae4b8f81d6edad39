package unwind

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pyrr/internal/setup"
)

// fakeMemory answers every read: with bytes of its own where it has some,
// else with noise that depends on the address, or not at all.
type fakeMemory struct {
	at    map[uint64][]byte
	noise bool
	reads int
}

func (m *fakeMemory) ReadAt(p []byte, addr uint64) error {
	m.reads++
	for start, b := range m.at {
		if d := addr - start; d < uint64(len(b)) && uint64(len(b))-d >= uint64(len(p)) {
			copy(p, b[d:])
			return nil
		}
	}
	if !m.noise || addr < 4096 || addr >= 1<<47 {
		return errors.New("unmapped")
	}
	for i := range p {
		h := fnv.New32a()
		h.Write(binary.LittleEndian.AppendUint64(nil, addr+uint64(i)))
		p[i] = byte(h.Sum32())
	}
	return nil
}

// libc reads the C library of this machine.
func libc(tb testing.TB) []byte {
	tb.Helper()
	for _, pattern := range []string{"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/libc.so.6", "/usr/lib/libc.so.6"} {
		if b, err := os.ReadFile(pattern); err == nil {
			return b
		}
	}
	tb.Skip("no libc.so.6 where it usually is")
	return nil
}

const libcAt = 0x7f0000000000

func spaceOf(tb testing.TB, file []byte) (*Modules, *Module) {
	tb.Helper()
	im, err := NewFile("libc.so.6", bytes.NewReader(file), int64(len(file)), nil)
	if err != nil {
		return nil, nil
	}
	s := &Modules{}
	m, _ := s.Map(libcAt, im)
	return s, m
}

// codeIn returns addresses in the executable part of a module.
func codeIn(m *Module, rng *rand.Rand, n int) []uint64 {
	var out []uint64
	for _, p := range m.progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && p.Memsz > 0 {
			for range n {
				out = append(out, m.Bias+p.Vaddr+rng.Uint64N(p.Memsz))
			}
		}
	}
	return out
}

// TestForgedStacks walks stacks made to mislead: the walk ends, soon, with a
// frame that says why.
func TestForgedStacks(t *testing.T) {
	s, mod := spaceOf(t, libc(t))
	rng := rand.New(rand.NewPCG(1, 2))
	code := codeIn(mod, rng, 64)
	const stack = 0x7ffd00000000
	regs := func(pc, sp uint64) Regs {
		r := AllRegs([numRegs]uint64{})
		for i := range r.R {
			r.R[i] = sp + uint64(8*i)
		}
		r.R[RIP], r.R[RSP] = pc, sp
		return r
	}
	full := func(word func(i int) uint64) []byte {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 8 {
			binary.LittleEndian.PutUint64(b[i:], word(i))
		}
		return b
	}
	tests := []struct {
		name string
		mem  *fakeMemory
	}{
		{"no memory at all", &fakeMemory{}},
		{"noise", &fakeMemory{noise: true}},
		{"the same return address forever", &fakeMemory{at: map[uint64][]byte{stack: full(func(int) uint64 { return code[0] })}}},
		{"return addresses in code everywhere", &fakeMemory{at: map[uint64][]byte{stack: full(func(int) uint64 { return code[rng.IntN(len(code))] })}}},
		{"pointers back into the stack", &fakeMemory{at: map[uint64][]byte{stack: full(func(i int) uint64 { return stack + uint64(i) - 64 })}}},
		{"the highest addresses", &fakeMemory{at: map[uint64][]byte{stack: full(func(int) uint64 { return ^uint64(7) })}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			for _, pc := range append(code, 0, 1, ^uint64(0), libcAt, stack) {
				for _, sp := range []uint64{stack, stack + 8, 0, ^uint64(7)} {
					frames := s.Walk(tt.mem, regs(pc, sp), 0)
					if len(frames) == 0 || len(frames) > DefaultLimit {
						t.Fatalf("%d frames from %#x", len(frames), pc)
					}
					if n := len(frames); n > 1 && !frames[n-1].Signal && frames[n-2].CFA < frames[0].SP() && frames[0].SP() < 1<<47 {
						t.Errorf("the stack of %#x goes down, to %#x", pc, frames[n-2].CFA)
					}
					s.Explain(tt.mem, frames)
				}
			}
			if d := time.Since(start); setup.Slow(d, time.Minute) {
				t.Errorf("took %v", d)
			}
		})
	}
}

// TestLimit: a walk of a real chain that is too long says so.
func TestLimit(t *testing.T) {
	s, mod := spaceOf(t, libc(t))
	rng := rand.New(rand.NewPCG(3, 4))
	const stack = 0x7ffd00000000
	// An address at which the frame is rsp+8 to rsp+64.
	var pc uint64
	for _, at := range codeIn(mod, rng, 4096) {
		if c := s.lookup(at, true); c.err == nil && c.row.cfaExpr == nil && c.row.cfaReg == RSP && c.row.cfaOff == 8 && !c.row.signal {
			pc = at
			break
		}
	}
	if pc == 0 {
		t.Fatal("no function without a frame in libc")
	}
	b := make([]byte, 1<<20)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], pc)
	}
	r := AllRegs([numRegs]uint64{})
	r.R[RIP], r.R[RSP] = pc, stack
	m := &fakeMemory{at: map[uint64][]byte{stack: b}}
	frames := s.Walk(m, r, 100)
	if len(frames) != 100 || frames[99].Err != "more than 100 frames" {
		t.Errorf("%d frames, the last %q", len(frames), frames[len(frames)-1].Err)
	}
}

// flipped returns a copy of a file with n bytes changed in one of its
// sections.
func flipped(file []byte, f *elf.File, section string, rng *rand.Rand, n int) []byte {
	out := bytes.Clone(file)
	lo, size := uint64(0), uint64(64) // the header
	if section != "" {
		s := f.Section(section)
		if s == nil || s.Size == 0 {
			return nil
		}
		lo, size = s.Offset, s.Size
	}
	for range n {
		out[lo+rng.Uint64N(size)] = byte(rng.Uint32())
	}
	return out
}

// TestDamagedTables walks by tables in which bytes were changed: no panic,
// and no walk without an end.
func TestDamagedTables(t *testing.T) {
	file := libc(t)
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	rounds := 6
	if os.Getenv("PYRR_E2E") == "full" {
		rounds = 200
	}
	rng := rand.New(rand.NewPCG(5, 6))
	m := &fakeMemory{noise: true}
	for _, section := range []string{"", ".eh_frame", ".eh_frame_hdr", ".dynsym", ".dynamic", ".rela.plt", ".rela.dyn", ".plt"} {
		for range rounds {
			damaged := flipped(file, f, section, rng, 1+rng.IntN(40))
			if damaged == nil {
				continue
			}
			s, mod := spaceOf(t, damaged)
			if mod == nil {
				continue
			}
			for _, pc := range codeIn(mod, rng, 6) {
				r := AllRegs([numRegs]uint64{})
				r.R[RIP], r.R[RSP], r.R[RBP] = pc, 0x7ffd00000000, 0x7ffd00000100
				frames := s.Walk(m, r, 0)
				s.Explain(m, frames)
				mod.Symbol(pc - mod.Bias)
			}
		}
	}
}

// TestDamagedDWARF describes frames by debug information in which bytes were
// changed.
func TestDamagedDWARF(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".pyenv/versions/3.8.*/bin/python3.8"))
	if len(files) == 0 {
		t.Skip("no small file with DWARF here")
	}
	file, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	describe := func(file []byte) (described int) {
		s, mod := spaceOf(t, file)
		if mod == nil {
			return 0
		}
		text := f.Section(".text")
		m := &fakeMemory{noise: true}
		for pc := text.Addr; pc < text.Addr+text.Size; pc += 5 {
			r := AllRegs([numRegs]uint64{})
			r.R[RIP], r.R[RSP] = pc+mod.Bias, 0x7ffd00000000
			for _, d := range s.Explain(m, s.Walk(m, r, 0)) {
				if d.Debug {
					described++
				}
			}
		}
		return described
	}
	if describe(file) == 0 {
		t.Fatal("nothing is described in the file as it is")
	}
	rounds := 8
	if os.Getenv("PYRR_E2E") == "full" {
		rounds = 400
	}
	rng := rand.New(rand.NewPCG(7, 8))
	for _, section := range []string{".debug_info", ".debug_abbrev", ".debug_line", ".debug_loc", ".debug_loclists", ".debug_str", ".debug_ranges", ".debug_rnglists"} {
		for range rounds {
			if damaged := flipped(file, f, section, rng, 1+rng.IntN(8)); damaged != nil {
				describe(damaged)
			}
		}
	}
}

// FuzzImage reads files that may be anything.
func FuzzImage(f *testing.F) {
	if files, _ := filepath.Glob(filepath.Join(os.Getenv("HOME"), ".pyenv/versions/3.*/bin/python3.?")); len(files) > 0 {
		if b, err := os.ReadFile(files[0]); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(_ *testing.T, file []byte) {
		im, err := NewFile("fuzzed", bytes.NewReader(file), int64(len(file)), nil)
		if err != nil {
			return
		}
		s := &Modules{}
		mod, ok := s.Map(libcAt, im)
		if !ok {
			return
		}
		im.BuildID()
		m := &fakeMemory{noise: true}
		rng := rand.New(rand.NewPCG(1, uint64(len(file))))
		for _, pc := range append(codeIn(mod, rng, 4), mod.Start, mod.End-1) {
			r := AllRegs([numRegs]uint64{})
			r.R[RIP], r.R[RSP] = pc, 0x7ffd00000000
			s.Explain(m, s.Walk(m, r, 64))
			im.Symbol(pc - mod.Bias)
		}
	})
}

// FuzzStack walks stacks with any contents by the tables of the C library.
func FuzzStack(f *testing.F) {
	s, mod := spaceOf(f, libc(f))
	rng := rand.New(rand.NewPCG(9, 9))
	code := codeIn(mod, rng, 32)
	f.Add(uint64(3), bytes.Repeat([]byte{1, 0, 0, 0, 0, 0x7f, 0, 0}, 64))
	f.Fuzz(func(t *testing.T, pick uint64, contents []byte) {
		const stack = 0x7ffd00000000
		// Words that are small stand for addresses in code.
		words := bytes.Clone(contents)
		for i := 0; i+8 <= len(words); i += 8 {
			if v := binary.LittleEndian.Uint64(words[i:]); v < 256 {
				binary.LittleEndian.PutUint64(words[i:], code[v%uint64(len(code))])
			}
		}
		r := AllRegs([numRegs]uint64{})
		for i := range r.R {
			r.R[i] = stack + pick%uint64(len(words)+1)
		}
		r.R[RIP], r.R[RSP] = code[pick%uint64(len(code))], stack
		m := &fakeMemory{at: map[uint64][]byte{stack: words}}
		frames := s.Walk(m, r, 0)
		if len(frames) == 0 || len(frames) > DefaultLimit {
			t.Fatalf("%d frames", len(frames))
		}
		for i := 1; i < len(frames); i++ {
			if !frames[i-1].Signal && frames[i].SP() <= frames[i-1].SP() {
				t.Fatalf("frame %d is below frame %d", i, i-1)
			}
		}
	})
}
