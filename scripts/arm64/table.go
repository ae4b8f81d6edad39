// Command arm64 counts the bytecode instructions that a Python for arm64 executes: it
// starts it by ptrace, finds the table of its dispatch, and puts stubs into the table's
// entries that count and go on to where the entries pointed. It is the first process of
// a guest without anything else in it; spike.sh starts that. It is a trial of how a port
// of pyrr could count: pyrr itself uses nothing of it.
package main

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
)

const (
	btiJ = 0xd503249f // bti j: may be the target of br
	br   = 0xd61f0000 // br, of register 0
)

// opcodes is how many entries the table has: one for each value of a byte.
const opcodes = 256

// table is where an interpreter finds the code of an opcode.
type table struct {
	address  uint64   // of its first entry
	targets  []uint64 // what stands in it
	distinct int      // of them
	pads     int      // of the distinct ones begin with `bti j`
	jumps    int      // `br` of the function that get their target from a table
}

func (t *table) String() string {
	return fmt.Sprintf("TABLE at %#x, %d entries with %d targets, %d of which begin with bti j; %d jumps by a table", t.address, len(t.targets), t.distinct, t.pads, t.jumps)
}

// findTable finds the table by its shape: as many addresses of 8 bytes, one after the
// other, as a byte has values, and all in the function that evaluates bytecode. The
// program is at the addresses that its file says (it is no PIE).
func findTable(path string) (*table, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer f.Close()
	if f.Machine != elf.EM_AARCH64 || f.Type != elf.ET_EXEC {
		return nil, fmt.Errorf("%s is no program for arm64 at fixed addresses", path)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return nil, fmt.Errorf("read the symbols of %s: %w", path, err)
	}
	var eval elf.Symbol
	for _, s := range syms {
		if s.Name == "_PyEval_EvalFrameDefault" {
			eval = s
		}
	}
	var found []*table
	var code []byte
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		part := make([]byte, p.Filesz)
		if _, err := p.ReadAt(part, 0); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if eval.Value >= p.Vaddr && eval.Value+eval.Size <= p.Vaddr+p.Filesz {
			code = part[eval.Value-p.Vaddr:][:eval.Size]
		}
		found = append(found, tablesIn(part, p.Vaddr, eval)...)
	}
	if len(found) != 1 || len(code) == 0 {
		return nil, fmt.Errorf("%s has %d such tables", path, len(found))
	}
	found[0].look(code, eval.Value)
	return found[0], nil
}

// tablesIn returns the tables of a part of a program that is loaded at an address.
func tablesIn(part []byte, at uint64, eval elf.Symbol) (found []*table) {
	var run []uint64
	for i := 0; i+8 <= len(part); i += 8 {
		w := binary.LittleEndian.Uint64(part[i:])
		if eval.Value <= w && w < eval.Value+eval.Size && w%4 == 0 {
			run = append(run, w)
			continue
		}
		if len(run) == opcodes {
			found = append(found, &table{address: at + uint64(i) - 8*opcodes, targets: run})
		}
		run = nil
	}
	return found
}

// look counts what the function's code has of it.
func (t *table) look(code []byte, first uint64) {
	word := func(i uint64) uint32 { return binary.LittleEndian.Uint32(code[i:]) }
	const indexed, indexMask = 0xf8601800, 0xffe01c00 // ldr xT, [xN, R, extend #3]
	const jumpMask = 0xfffffc1f
	for i := uint64(4); i+4 <= uint64(len(code)); i += 4 {
		before, w := word(i-4), word(i)
		if w&jumpMask == br && before&indexMask == indexed && before&31 == w>>5&31 {
			t.jumps++
		}
	}
	seen := map[uint64]bool{}
	for _, a := range t.targets {
		if seen[a] {
			continue
		}
		seen[a] = true
		t.distinct++
		if word(a-first) == btiJ {
			t.pads++
		}
	}
}
