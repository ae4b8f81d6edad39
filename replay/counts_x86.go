package replay

import (
	"encoding/binary"
	"fmt"
	"slices"

	"pyrr/cpython"
	"pyrr/internal/ptrace"
)

// Counting instructions by place. While Options.OnCounts is set, every stub leads to
// a hook that ends in a piece of code which counts, in a table of the process, how
// often a bytecode instruction was executed right after another. The table is
// emptied when it is full, when the code that it is about goes, and at the end; no
// instruction stops for it.
//
// What is counted is a pair, since a line begins where the instruction before
// was of another one. "Before" is within a thread: at each change of threads the
// cell that holds it is exchanged.
const (
	countEntries = 1 << 16
	countSlack   = 64 // slots behind the last home, the last always empty
	countEntry   = 32 // this instruction, the one before, the count
	countRoom    = countEntries * 3 / 4
	countSize    = (countEntries + countSlack) * countEntry
)

// Cells beside those of the filter.
const (
	cellPrev  = hookCells + 64 // the instruction before, as the register had it
	cellRoom  = hookCells + 72 // how many pairs there is room for
	cellTable = hookCells + 80
	cellLast  = hookCells + 88
)

// edgeCounts is the counting of a process.
type edgeCounts struct {
	ready bool
	tid   int32            // whose last instruction the cell holds
	last  map[int32]uint64 // those of the other threads
}

// counting says whether instructions are counted by place.
func (s *session) counting() bool { return s.o.OnCounts != nil }

// count emits the counting of the instruction in reg, or the jump to full, with all
// registers as they were.
func (a *asm) count(at cpython.NextInstr, full *int) {
	probe, next, fresh, hit, over, done := new(int), new(int), new(int), new(int), new(int), new(int)
	a.scratch(at)
	a.mem(cellPrev, 0x48, 0x8b, 0x15) // mov rdx, [prev]
	imm := func(v uint32, op ...byte) {
		a.emit(op...)
		a.b = binary.LittleEndian.AppendUint32(a.b, v)
	}
	imm(0x85ebca6b, 0x69, 0xca)        // imul ecx, edx, imm32
	a.emit(0x01, 0xc1)                 // add ecx, eax
	imm(0x9e3779b1, 0x69, 0xc9)        // imul ecx, ecx, imm32
	a.emit(0xc1, 0xe9, 16)             // shr ecx, 16: countEntries
	a.emit(0x48, 0xc1, 0xe1, 5)        // shl rcx, 5: countEntry
	a.mem(cellTable, 0x48, 0x03, 0x0d) // add rcx, [table]
	*probe = len(a.b)
	a.emit(0x48, 0x39, 0x01)       // cmp [rcx], rax
	a.to(next, 0x0f, 0x85)         // jne
	a.emit(0x48, 0x39, 0x51, 0x08) // cmp [rcx+8], rdx
	a.to(hit, 0x0f, 0x84)          // je
	*next = len(a.b)
	a.emit(0x48, 0x83, 0x39, 0)          // cmp qword [rcx], 0
	a.to(fresh, 0x0f, 0x84)              // je
	a.emit(0x48, 0x83, 0xc1, countEntry) // add rcx, countEntry
	a.to(probe, 0xe9)
	*fresh = len(a.b)
	a.mem(cellLast, 0x48, 0x3b, 0x0d) // cmp rcx, [last]
	a.to(over, 0x0f, 0x83)            // jae
	a.mem(cellRoom, 0x48, 0xff, 0x0d) // dec qword [room]
	a.to(over, 0x0f, 0x88)            // js
	a.emit(0x48, 0x89, 0x01)          // mov [rcx], rax
	a.emit(0x48, 0x89, 0x51, 0x08)    // mov [rcx+8], rdx
	*hit = len(a.b)
	a.emit(0x48, 0xff, 0x41, 0x10)    // inc qword [rcx+16]
	a.mem(cellPrev, 0x48, 0x89, 0x05) // mov [prev], rax
	a.restore()
	a.to(done, 0xe9)
	*over = len(a.b)
	a.restore()
	a.to(full, 0xe9)
	*done = len(a.b)
}

// readyCounts empties the table of a process that is new, as a fork has its parent's.
func (p *Process) readyCounts() error {
	if p.edges.ready {
		return nil
	}
	p.edges.ready = true
	return p.clearCounts()
}

func (p *Process) clearCounts() error {
	var cells [24]byte
	binary.LittleEndian.PutUint64(cells[0:], countRoom)
	binary.LittleEndian.PutUint64(cells[8:], countTable)
	binary.LittleEndian.PutUint64(cells[16:], countTable+(countEntries+countSlack-1)*countEntry)
	if err := ptrace.Write(p.pid, cellRoom, cells[:]); err != nil {
		return fmt.Errorf("write the cells of hooks: %w", err)
	}
	if err := ptrace.Write(p.pid, countTable, make([]byte, countSize)); err != nil {
		return fmt.Errorf("empty the table of counts: %w", err)
	}
	return nil
}

// exchange makes the instruction before that of a thread which is to run.
func (p *Process) exchange(t *Thread) error {
	e := &p.edges
	if !e.ready || e.tid == t.TID {
		return nil
	}
	if e.tid != 0 {
		var b [8]byte
		if err := (ptrace.Mem)(p.pid).ReadAt(b[:], cellPrev); err != nil {
			return fmt.Errorf("read the cells of hooks: %w", err)
		}
		if e.last == nil {
			e.last = map[int32]uint64{}
		}
		e.last[e.tid] = binary.LittleEndian.Uint64(b[:])
		if err := ptrace.WriteU64(p.pid, cellPrev, e.last[t.TID]); err != nil {
			return fmt.Errorf("write the cells of hooks: %w", err)
		}
	}
	e.tid = t.TID
	return nil
}

// drain hands on what the table has, by code object, and empties it.
func (p *Process) drain() error {
	if !p.edges.ready || p.pid == 0 {
		return nil
	}
	table := make([]byte, countSize)
	if err := (ptrace.Mem)(p.pid).ReadAt(table, countTable); err != nil {
		return fmt.Errorf("read the table of counts: %w", err)
	}
	codes := make([]*cpython.Code, 0, len(p.python.codes))
	for _, c := range p.python.codes {
		codes = append(codes, c)
	}
	slices.SortFunc(codes, func(a, b *cpython.Code) int {
		if a.Base < b.Base {
			return -1
		}
		return 1
	})
	found := map[*cpython.Code][]cpython.Edge{}
	bias := p.nextBias()
	for at := 0; at < len(table); at += countEntry {
		to, from := binary.LittleEndian.Uint64(table[at:]), binary.LittleEndian.Uint64(table[at+8:])
		if to == 0 {
			continue
		}
		to, from = to+bias, from+bias
		c := p.codeAround(&codes, to)
		e := cpython.Edge{From: -1, To: -1, N: binary.LittleEndian.Uint64(table[at+16:])}
		if c != nil {
			e.To = int(to - c.Base)
			if from >= c.Base && from-c.Base < uint64(c.Size) {
				e.From = int(from - c.Base)
			}
		}
		found[c] = append(found[c], e)
	}
	for c, edges := range found {
		if err := p.s.o.OnCounts(p, c, edges); err != nil {
			return err
		}
	}
	return p.clearCounts()
}

// codeAround finds the code object that an instruction is of. One that was never
// entered, as that of a generator which was made and not run, is looked for before
// the instruction.
func (p *Process) codeAround(codes *[]*cpython.Code, at uint64) *cpython.Code {
	i, _ := slices.BinarySearchFunc(*codes, at, func(c *cpython.Code, at uint64) int {
		if c.Base <= at {
			return -1
		}
		return 1
	})
	if i > 0 {
		if c := (*codes)[i-1]; at-c.Base < uint64(c.Size) {
			return c
		}
	}
	rt, err := p.Runtime()
	if err != nil || p.hooks.entry == nil || p.hooks.entry.TState != 0 {
		return nil
	}
	addr, ok := rt.CodeBefore(p.Mem(), p.hooks.entry, at, filterSteps)
	if !ok {
		return nil
	}
	c, err := rt.Code(p.Mem(), addr)
	if err != nil || at-c.Base >= uint64(c.Size) {
		return nil
	}
	*codes = slices.Insert(*codes, i, c)
	return c
}

// replaced empties the table before code is made known where other code was.
func (p *Process) replaced(c *cpython.Code) error {
	if !p.edges.ready {
		return nil
	}
	var gone []uint64
	for addr, old := range p.python.codes {
		if old.Base < c.Base+uint64(c.Size) && c.Base < old.Base+uint64(old.Size) {
			gone = append(gone, addr)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if err := p.drain(); err != nil {
		return err
	}
	for _, addr := range gone {
		delete(p.python.codes, addr)
	}
	return nil
}
