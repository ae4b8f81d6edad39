package replay

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/cpython"
	"pyrr/internal/ptrace"
)

// Breakpoints on bytecode live in the counting stubs. While there are any, the
// stubs of the opcodes concerned lead to a piece of code of their own, the
// hook, in an area that only the replay has:
//
//	stub:  dec [budget]; js trap; jmp over; trap: int3; over: jmp hook
//	hook:  cmp r32, address; je hit; …; jmp handler
//	hit:   int3; jmp handler
//
// A hook compares the lower half of the next instruction's address, which is in a register
// or on the stack, with the
// addresses of the instructions that have a breakpoint: a search tree of
// compares with constants, that changes no register but the flags, which are
// dead at a dispatch. The instruction was counted before, so the count stays
// exact, and one without a breakpoint costs a compare or two.
//
// The hooks of the instructions that enter a function first look its address
// up in a table of those that are known, and trap where it is new: so no code
// object runs unseen, whenever it is made. An entry holds two fields of the
// code object, and the end of its file's name, with their addresses: they tell
// another one made at the same place later.
const (
	hookBase  = gadgetBase + 0x100000
	hookCode  = 0x100000 // bytes of code
	hookCells = hookBase + hookCode
	hookTable = hookCells + pageSize
	// The table is open-addressed by slots of tableEntry bytes: a key, and
	// three times an address and the value there.
	tableEntries = 1 << 14
	tableSlack   = 64 // slots behind the last home, the last always empty
	tableEntry   = 64
	countTable   = hookTable + (tableEntries+tableSlack)*tableEntry
	hookEnd      = countTable + countSize
	maxKnown     = tableEntries / 2
	stubs        = clockCode / stubSize
	stubAfter    = 16 // bytes of a stub that are its code
	jumpSize     = 8
)

type trapKind uint8

const (
	trapSite trapKind = iota // an instruction with a breakpoint
	trapNew                  // an unknown function is entered
	trapFull                 // the table of counts is full
)

// hookTrap is a stop in a hook.
type hookTrap struct {
	stub  int
	kind  trapKind
	fault bool // in the lookup, which has registers in use
	// filter says that the fault is in the filter, which has more in use.
	filter bool
}

// hookSet is what the hooks of a process are at the moment.
type hookSet struct {
	mapped  bool
	targets []uint64            // where each stub leads, 0 for no stub
	traps   map[uint64]hookTrap // by the address behind the int3
	spans   []hookSpan          // code of each hook, in order
	stubs   uint64
	on      map[int]bool // stubs that lead to a hook
	// entry says where code objects are, nil as long as none is known. With
	// it, functions pass that fit none of the patterns, if these can tell.
	entry    *cpython.Entry
	patterns []filterPattern
	canPass  bool
}

type hookSpan struct {
	lo, hi            uint64
	filter, filterEnd uint64
	stub              int
}

func (h *hookSet) clone() hookSet {
	c := *h
	c.on = maps.Clone(h.on)
	return c
}

// handler returns where a thread goes on that stands at the jump of a stub
// with a hook, 0 for any other place.
func (h *hookSet) handler(pc uint64) uint64 {
	if len(h.on) == 0 || pc < h.stubs || pc-h.stubs >= clockCode || (pc-h.stubs)%stubSize != stubJump {
		return 0
	}
	n := int((pc - h.stubs) / stubSize)
	if !h.on[n] {
		return 0
	}
	return h.targets[n]
}

// trap tells whether a stop at pc is one of a hook's. A signal other than the
// int3's there comes from reading what is not a code object any more.
func (h *hookSet) trap(pc uint64, sig unix.Signal) (hookTrap, bool) {
	if pc < hookBase || pc >= hookBase+hookCode {
		return hookTrap{}, false
	}
	if sig == unix.SIGTRAP {
		t, ok := h.traps[pc]
		return t, ok
	}
	i, ok := slices.BinarySearchFunc(h.spans, pc, func(s hookSpan, pc uint64) int {
		switch {
		case s.hi <= pc:
			return -1
		case s.lo > pc:
			return 1
		}
		return 0
	})
	if !ok {
		return hookTrap{}, false
	}
	s := &h.spans[i]
	return hookTrap{s.stub, trapNew, true, pc >= s.filter && pc < s.filterEnd}, true
}

// readStubs finds out where the stubs lead.
func (p *Process) readStubs() error {
	h := &p.hooks
	if h.targets != nil && h.stubs == p.stubs {
		return nil
	}
	m := p.Mem()
	code := make([]byte, clockCode)
	if err := m.ReadAt(code, p.stubs); err != nil {
		return fmt.Errorf("read the counting stubs: %w", err)
	}
	h.stubs, h.targets, h.on = p.stubs, make([]uint64, stubs), map[int]bool{}
	for n := range stubs {
		at := p.stubs + uint64(n*stubSize)
		b := code[n*stubSize:]
		switch {
		case b[stubJump] == 0xe9: // jmp rel32
			h.targets[n] = at + stubJump + 5 + uint64(int64(int32(binary.LittleEndian.Uint32(b[stubJump+1:]))))
		case b[stubJump] == 0xff && b[stubJump+1] == 0x25: // jmp [rip+rel32]
			cell := at + stubJump + 6 + uint64(int64(int32(binary.LittleEndian.Uint32(b[stubJump+2:]))))
			var w [8]byte
			if err := m.ReadAt(w[:], cell); err != nil {
				return fmt.Errorf("read the target of a counting stub: %w", err)
			}
			h.targets[n] = binary.LittleEndian.Uint64(w[:])
		}
	}
	return nil
}

// asm collects the code of the hooks.
type asm struct {
	b     []byte
	base  uint64
	calls []jump
}

type jump struct {
	at    int // of the displacement
	label *int
}

func (a *asm) here() uint64 { return a.base + uint64(len(a.b)) }

func (a *asm) emit(b ...byte) { a.b = append(a.b, b...) }

// mem emits an instruction that ends in a displacement to an address.
func (a *asm) mem(addr uint64, op ...byte) {
	a.emit(op...)
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(addr-(a.here()+4)))
}

// to emits a jump with a 32-bit displacement to a label.
func (a *asm) to(label *int, op ...byte) {
	a.emit(op...)
	a.calls = append(a.calls, jump{len(a.b), label})
	a.emit(0, 0, 0, 0)
}

func (a *asm) link() {
	for _, j := range a.calls {
		binary.LittleEndian.PutUint32(a.b[j.at:], uint32(*j.label-(j.at+4)))
	}
	a.calls = nil
}

// leave emits the jump to an address anywhere.
func (a *asm) leave(addr uint64) {
	a.emit(0xff, 0x25, 0, 0, 0, 0) // jmp [rip+0]
	a.b = binary.LittleEndian.AppendUint64(a.b, addr)
}

// search emits compares of the next instruction's address with the sorted
// values, which end at hit or at miss.
func (a *asm) search(next cpython.NextInstr, values []uint32, hit, miss *int) {
	cmp := func(v uint32) {
		a.place(next, 0, 0x81, 7) // cmp r/m32, imm32
		a.b = binary.LittleEndian.AppendUint32(a.b, v)
	}
	if len(values) <= 3 {
		for _, v := range values {
			cmp(v)
			a.to(hit, 0x0f, 0x84) // je
		}
		a.to(miss, 0xe9)
		return
	}
	mid := len(values) / 2
	right := new(int)
	cmp(values[mid])
	a.to(hit, 0x0f, 0x84)   // je
	a.to(right, 0x0f, 0x87) // ja
	a.search(next, values[:mid], hit, miss)
	*right = len(a.b)
	a.search(next, values[mid+1:], hit, miss)
}

// place emits an instruction whose operand of register or memory is where the next
// instruction's address is: rex has what of the prefix is not for that, 0 for none.
func (a *asm) place(next cpython.NextInstr, rex, op, reg byte) {
	r := byte(next.Reg)
	if r >= 8 {
		rex |= 0x41
	}
	if rex != 0 {
		a.emit(rex)
	}
	if !next.InStack {
		a.emit(op, 0xc0|reg<<3|r&7)
		return
	}
	a.emit(op, 0x80|reg<<3|r&7) // [reg+disp32]
	if r&7 == 4 {
		a.emit(0x24) // rsp, or r12, takes a byte for no index
	}
	a.b = binary.LittleEndian.AppendUint32(a.b, uint32(next.Off))
}

// Scratch registers of the lookup, kept in cells meanwhile.
const (
	cellRax = hookCells
	cellRcx = hookCells + 8
	cellRdx = hookCells + 16
)

// scratch emits the saving of rax, rcx and rdx, and moves the next instruction's address to rax.
func (a *asm) scratch(next cpython.NextInstr) {
	a.mem(cellRax, 0x48, 0x89, 0x05) // mov [cell], rax
	a.mem(cellRcx, 0x48, 0x89, 0x0d) // mov [cell], rcx
	a.mem(cellRdx, 0x48, 0x89, 0x15) // mov [cell], rdx
	a.place(next, 0x48, 0x8b, rax)   // mov rax, place: it has not changed yet
}

// lookup emits the search for the next instruction's address in the table of
// known functions; it goes on behind the code or to miss, with all registers
// as they were. It returns where the code lies that uses those of pass.
func (a *asm) lookup(next cpython.NextInstr, h *hookSet, miss *int) (filter, filterEnd uint64) {
	found, ok, probe, unknown, trap := new(int), new(int), new(int), new(int), new(int)
	a.scratch(next)
	a.emit(0x89, 0xc1)    // mov ecx, eax
	a.emit(0xc1, 0xe9, 4) // shr ecx, 4
	a.emit(0x81, 0xe1)    // and ecx, tableEntries-1
	a.b = binary.LittleEndian.AppendUint32(a.b, tableEntries-1)
	a.emit(0x48, 0xc1, 0xe1, 6)        // shl rcx, 6: tableEntry
	a.mem(hookTable, 0x48, 0x8d, 0x15) // lea rdx, [table]
	a.emit(0x48, 0x01, 0xd1)           // add rcx, rdx
	*probe = len(a.b)
	a.emit(0x48, 0x39, 0x01)       // cmp [rcx], rax
	a.to(found, 0x0f, 0x84)        // je
	a.emit(0x48, 0x83, 0x39, 0)    // cmp qword [rcx], 0
	a.to(unknown, 0x0f, 0x84)      // je
	a.emit(0x48, 0x83, 0xc1, 0x40) // add rcx, tableEntry
	a.to(probe, 0xe9)
	*found = len(a.b)
	if e := h.entry; e != nil && e.TState != 0 {
		// Up to 3.10 another code object may have got the memory of the
		// instructions: it must be that of the frame.
		a.codeOf(rdx, rdx, e, unknown)
		a.based(0x8d, rdx, rdx, e.FirstLine) // lea rdx, [rdx+firstline]
		a.based(0x3b, rdx, rcx, 8)           // cmp rdx, [rcx+8]
		a.to(unknown, 0x0f, 0x85)            // jne
	}
	for _, off := range []byte{8, 24, 40} {
		a.emit(0x48, 0x8b, 0x51, off)   // mov rdx, [rcx+off]
		a.emit(0x48, 0x8b, 0x12)        // mov rdx, [rdx]
		a.emit(0x48, 0x3b, 0x51, off+8) // cmp rdx, [rcx+off+8]
		a.to(unknown, 0x0f, 0x85)       // jne
	}
	a.to(ok, 0xe9)
	*unknown = len(a.b)
	if h.entry != nil && h.canPass {
		filter, filterEnd = a.pass(h.entry, h.patterns, ok, trap)
	}
	*trap = len(a.b)
	a.restore()
	a.to(miss, 0xe9)
	*ok = len(a.b)
	a.restore()
	return filter, filterEnd
}

func (a *asm) restore() {
	a.mem(cellRdx, 0x48, 0x8b, 0x15) // mov rdx, [cell]
	a.mem(cellRcx, 0x48, 0x8b, 0x0d) // mov rcx, [cell]
	a.mem(cellRax, 0x48, 0x8b, 0x05) // mov rax, [cell]
}

// writeHooks makes the hooks of the given stubs: values are the addresses to
// stop at, entries the stubs that look functions up.
func (p *Process) writeHooks(t *Thread, values map[int][]uint32, entries map[int]bool) error {
	h := &p.hooks
	if err := p.mapHooks(t); err != nil {
		return err
	}
	h.traps, h.spans = map[uint64]hookTrap{}, nil
	// The stubs lead to slots, so that other hooks only need other slots.
	a := &asm{base: hookBase, b: make([]byte, stubs*jumpSize)}
	for n := range stubs {
		wanted := len(values[n]) > 0 || entries[n] || p.s.counting()
		if h.targets[n] == 0 || !wanted && !h.on[n] {
			continue
		}
		lo := a.here()
		slot := a.b[n*jumpSize:]
		slot[0] = 0xe9 // jmp rel32
		binary.LittleEndian.PutUint32(slot[1:], uint32(len(a.b)-(n*jumpSize+5)))
		hit, out, miss, full := new(int), new(int), new(int), new(int)
		span := hookSpan{lo: lo, stub: n}
		if entries[n] {
			span.filter, span.filterEnd = a.lookup(p.nextInstr, h, miss)
		}
		a.search(p.nextInstr, values[n], hit, out)
		for _, k := range []struct {
			label *int
			kind  trapKind
			used  bool
		}{{hit, trapSite, len(values[n]) > 0}, {miss, trapNew, entries[n]}} {
			*k.label = len(a.b)
			if k.used {
				a.emit(0xcc)
				h.traps[a.here()] = hookTrap{stub: n, kind: k.kind}
			}
		}
		*out = len(a.b)
		if p.s.counting() {
			a.count(p.nextInstr, full)
		}
		a.leave(h.targets[n])
		if p.s.counting() {
			*full = len(a.b)
			a.emit(0xcc)
			h.traps[a.here()] = hookTrap{stub: n, kind: trapFull}
		}
		span.hi = a.here()
		h.spans = append(h.spans, span)
	}
	a.link()
	if len(a.b) > hookCode {
		return fmt.Errorf("breakpoints at so many instructions need %d bytes of code, more than %d", len(a.b), hookCode)
	}
	if err := ptrace.Write(p.pid, hookBase, a.b); err != nil {
		return fmt.Errorf("write the hooks: %w", err)
	}
	for _, s := range h.spans {
		if !h.on[s.stub] {
			if err := p.aim(s.stub, hookBase+uint64(s.stub*jumpSize)); err != nil {
				return err
			}
		}
	}
	return nil
}

// aim makes a stub lead to the code at to.
func (p *Process) aim(n int, to uint64) error {
	h := &p.hooks
	at := p.stubs + uint64(n*stubSize) + stubJump
	b := make([]byte, stubSize-stubJump)
	for i := range b {
		b[i] = 0xcc
	}
	b[0], b[1] = 0xeb, stubAfter-stubJump-2 // jmp over the trap
	over := b[stubAfter-stubJump:]
	copy(over, []byte{0xff, 0x25, 0, 0, 0, 0})
	binary.LittleEndian.PutUint64(over[6:], to)
	if err := p.put(at, b); err != nil {
		return err
	}
	h.on[n] = true
	return nil
}
