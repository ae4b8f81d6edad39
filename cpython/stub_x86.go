package cpython

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
)

// The area holds a stub for each entry of the tables:
//
//	dec  qword [rip+budget]
//	js   trap
//	jmp  target
//	trap: int3
//
// The jmp is direct where its reach of 2 GiB allows, which is faster, else
// through a word of the data. A stub changes no register and no stack, only
// flags, which no dispatch keeps: the loop's labels are entered from many
// places with any flags. The data behind the code is the budget, then the
// target of each stub.
const (
	stubSize  = 32
	stubJump  = 9  // offset of the jmp
	stubAfter = 16 // offset behind the int3, where a trapped thread is

	budgetSize = 64 // a cache line of its own

	// CompiledCell is behind the budget: the byte there is 1 once a loop was entered that
	// the JIT, or the interpreter of tier two, runs. What runs there is not counted.
	CompiledCell = 8

	// AreaCodeSize and AreaDataSize are the sizes of the area that Install
	// fills: executable, and behind it writable.
	AreaCodeSize = maxTables * opcodes * stubSize
	AreaDataSize = 2 * 4096
)

// A Write is bytes to be put at an address, whatever its protection.
type Write struct {
	Addr uint64
	Data []byte
}

// Installed is a clock in one address space.
type Installed struct {
	// Writes are the stubs, their targets and the budget, then the entries of
	// the tables; made in this order, the program may run at any moment.
	Writes []Write
	// Budget is the address of the 8-byte count of instructions that may
	// still run. A thread traps at the dispatch that takes it from 0 to -1.
	Budget uint64

	clock *Clock
	bias  uint64
	area  uint64
}

// NoTrap is a budget that is never used up.
const NoTrap = 1 << 62

// AreaHint returns an address to ask mmap(2) for the area at, within reach of
// a module loaded at bias and where hardly anything else is mapped. A kernel
// that has no room there maps the area elsewhere, which only NeedsNear rules
// out.
func (c *Clock) AreaHint(bias uint64) uint64 {
	const below, lowest = 64 << 20, 1 << 20
	at := c.Lo + bias
	if at > below+lowest {
		return (at - below) &^ 4095
	}
	// An executable that is linked to a fixed address, usually 4 MiB: under
	// it is nothing, above its heap.
	return lowest
}

// Ready says whether the dynamic linker has filled in the dispatch table of a
// module loaded at bias, and it is not redirected yet.
func (c *Clock) Ready(m mem.Reader, bias uint64) bool {
	return c.compare(m, bias) == nil
}

// compare holds the live tables against the file.
func (c *Clock) compare(m mem.Reader, bias uint64) error {
	for i := range c.Tables {
		t := &c.Tables[i]
		b, err := mem.Bytes(m, t.Addr+bias, t.Entries*t.size())
		if err != nil {
			return fmt.Errorf("dispatch table: %w", err)
		}
		for j, to := range t.Targets {
			if got := t.decode(b[j*t.size():], bias); got != to+bias {
				return fmt.Errorf("dispatch table %d of %s: entry %d leads to %#x, not %#x", i, c.Path, j, got, to+bias)
			}
		}
	}
	return nil
}

// Install returns what must be written to count the instructions of a module
// loaded at bias, with stubs in the area mapped at area: AreaCodeSize bytes of
// code, AreaDataSize of data. It refuses when the tables in memory are not
// those of the file. The budget is NoTrap.
func (c *Clock) Install(m mem.Reader, bias, area uint64) (*Installed, error) {
	in, err := c.InstalledAt(bias, area)
	if err != nil {
		return nil, err
	}
	if err := c.compare(m, bias); err != nil {
		return nil, err
	}
	return in, nil
}

// InstalledAt is Install without a look at the memory: for a process that
// inherited the stubs by a fork, or a recording's.
func (c *Clock) InstalledAt(bias, area uint64) (*Installed, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("clock of %s: %w", c.Path, err)
	}
	in := &Installed{clock: c, bias: bias, area: area, Budget: area + AreaCodeSize}
	code := bytes.Repeat([]byte{0xcc}, AreaCodeSize)
	data := make([]byte, AreaDataSize)
	binary.LittleEndian.PutUint64(data, NoTrap)
	in.Writes = []Write{{area, code}, {in.Budget, data}}
	n := 0
	for i := range c.Tables {
		t := &c.Tables[i]
		entries := make([]byte, t.Entries*t.size())
		for j, to := range t.Targets {
			stub := area + uint64(n*stubSize)
			cell := in.Budget + budgetSize + uint64(n*8)
			binary.LittleEndian.PutUint64(data[budgetSize+n*8:], to+bias)
			lead := to + bias
			if op := c.Version.Rules().executor; op != 0 && t.First+j == op && len(c.Tables) < maxTables {
				lead = area + AreaCodeSize - stubSize // the last one of a table that there is not
				putNoting(code[AreaCodeSize-stubSize:], lead, in.Budget+CompiledCell, cell)
			}
			putStub(code[n*stubSize:], stub, in.Budget, cell, lead)
			if t.Rel32 {
				off := int64(stub - (t.Base + bias))
				if off != int64(int32(off)) {
					return nil, fmt.Errorf("area at %#x is not within 2 GiB of %s at %#x", area, c.Path, t.Base+bias)
				}
				binary.LittleEndian.PutUint32(entries[4*j:], uint32(off))
			} else {
				binary.LittleEndian.PutUint64(entries[8*j:], stub)
			}
			n++
		}
		for _, op := range t.Uncounted {
			putEntry(t, entries, op-t.First, bias)
		}
		in.Writes = append(in.Writes, Write{t.Addr + bias, entries})
	}
	return in, nil
}

// Restore returns the writes that give the tables their own targets again.
// A thread inside a stub still gets to its target.
func (i *Installed) Restore() []Write {
	var ws []Write
	for k := range i.clock.Tables {
		t := &i.clock.Tables[k]
		b := make([]byte, t.Entries*t.size())
		for j := range t.Targets {
			putEntry(t, b, j, i.bias)
		}
		ws = append(ws, Write{t.Addr + i.bias, b})
	}
	return ws
}

// putEntry writes a table's own entry into an image of the table.
func putEntry(t *Table, b []byte, i int, bias uint64) {
	if t.Rel32 {
		binary.LittleEndian.PutUint32(b[4*i:], uint32(t.Targets[i]-t.Base))
	} else {
		binary.LittleEndian.PutUint64(b[8*i:], t.Targets[i]+bias)
	}
}

// putStub writes the stub that lies at an address. cell is the word that
// holds its target.
func putStub(b []byte, at, budget, cell, target uint64) {
	copy(b, []byte{
		0x48, 0xff, 0x0d, 0, 0, 0, 0, // dec qword [rip+...]
		0x78, 6, // js over the jmp
		0xff, 0x25, 0, 0, 0, 0, // jmp [rip+...]
		0xcc, // int3
	})
	binary.LittleEndian.PutUint32(b[3:], uint32(budget-(at+7)))
	binary.LittleEndian.PutUint32(b[11:], uint32(cell-(at+15)))
	if reach := int64(target - (at + 14)); reach == int64(int32(reach)) {
		b[stubJump] = 0xe9 // jmp rel32, of 5 bytes
		binary.LittleEndian.PutUint32(b[10:], uint32(reach))
		b[14] = 0xcc // never run
	}
}

// putNoting writes the code that a stub leads to whose instruction is to be noted: it sets
// the byte at flag, and goes where the word in cell says.
func putNoting(b []byte, at, flag, cell uint64) {
	copy(b, []byte{
		0xc6, 0x05, 0, 0, 0, 0, 1, // mov byte [rip+...], 1
		0xff, 0x25, 0, 0, 0, 0, // jmp [rip+...]
	})
	binary.LittleEndian.PutUint32(b[2:], uint32(flag-(at+7)))
	binary.LittleEndian.PutUint32(b[9:], uint32(cell-(at+13)))
}

// Trap tells a thread stopped by the int3 of a stub, whose pc is behind it:
// the address to let it go on at, the code of the instruction that it was on
// its way to, and the opcode. ok is false when pc is not such a stop.
func (i *Installed) Trap(pc uint64) (resume, handler uint64, op int, ok bool) {
	off := pc - i.area
	if off >= AreaCodeSize || off%stubSize != stubAfter {
		return 0, 0, 0, false
	}
	n := int(off / stubSize)
	for k := range i.clock.Tables {
		t := &i.clock.Tables[k]
		if n < t.Entries {
			return pc - stubAfter + stubJump, t.Targets[n] + i.bias, t.First + n, true
		}
		n -= t.Entries
	}
	return 0, 0, 0, false
}

// NextInstr returns the address of the instruction that a thread stopped in a
// stub is about to run.
func (i *Installed) NextInstr(m mem.Reader, regs *linux.Regs) uint64 {
	return i.clock.NextInstr.At(m, regs)
}

// Verify checks, at a thread's stop in a stub, that the table is what it was
// taken for: the instruction at next_instr has the opcode of the entry, or
// one that the interpreter dispatches to in its stead.
func (i *Installed) Verify(m mem.Reader, regs *linux.Regs) error {
	_, _, op, ok := i.Trap(regs.PC())
	if !ok {
		return errors.New("thread is not stopped in a stub")
	}
	at := i.NextInstr(m, regs)
	b, err := mem.U8(m, at)
	if err != nil {
		return fmt.Errorf("next instruction of opcode %d: %w", op, err)
	}
	if !i.clock.Version.Rules().dispatchable(int(b), op) {
		return fmt.Errorf("dispatch of opcode %d, but the instruction at %#x has %d", op, at, b)
	}
	return nil
}
