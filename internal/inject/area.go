package inject

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"

	"pyrr/internal/mem"
)

// The engine area is the memory that pyrr adds to a traced process:
//
//	0x00000  R-X  image of the stand-in vDSO: ELF headers and tables
//	0x01000  R-X  code: syscall gadget, clock_gettime, its replay function
//	0x02000  RW-  cells: function, mode, count, saved registers, pauses; from 0x02200 on
//	              room for the engine
//	0x03000  RW-  clock buffer: MaxReadings times struct timespec
//	0x13000  RW-  private stack
//	0x17000       end
//
// The code is position independent and the same on record and on replay; what
// differs is the function cell. It is written for one thread at a time: a
// thread switch happens at a system call or between two bytecodes, never
// inside clock_gettime.
const (
	codeOff  = 0x1000
	dataOff  = 0x2000
	bufOff   = 0x3000
	stackOff = 0x13000
	stackTop = AreaSize

	fnOff     = dataOff + 0x00
	modeOff   = dataOff + 0x08
	countOff  = dataOff + 0x10
	userSPOff = dataOff + 0x18
	userTSOff = dataOff + 0x20
	pauseOff  = dataOff + 0x28
	roomOff   = dataOff + 0x200

	// AreaSize is the size of the area, CodeSize that of its first, R-X part.
	AreaSize = 0x17000
	CodeSize = dataOff
	// MaxReadings is the number of answers that the clock buffer holds, each
	// ReadingSize bytes: a struct timespec.
	MaxReadings = (stackOff - bufOff) / ReadingSize
	ReadingSize = 16
	// RoomSize is the size of Area.Room.
	RoomSize = bufOff - roomOff
)

// What the mode cell (32 bits) makes clock_gettime do.
const (
	// ModeBuffer calls the function cell and appends its answer.
	ModeBuffer = 0
	// ModePassthrough jumps to the function cell: for a program that is let
	// go, after which nobody empties the buffer.
	ModePassthrough = 1
	// ModeSyscall makes a system call for each reading: for a kernel whose
	// vDSO can't read the clock source.
	ModeSyscall = 2
)

// Protections of a Map, as mmap(2) has them.
const (
	ProtRead  = 1
	ProtWrite = 2
	ProtExec  = 4
)

// A Map is a part of the area with one protection.
type Map struct {
	mem.Range
	Prot int
}

// A Write is memory to be set after mapping; the rest of the area is zero.
type Write struct {
	Addr uint64
	Data []byte
}

// Clock holds the addresses that an engine needs to serve clock_gettime.
type TimeFunc struct {
	FnCell uint64 // 8 bytes: function that fills a slot; Real or Replay
	Mode   uint64 // 4 bytes: ModeBuffer, …
	Count  uint64 // 8 bytes: answers in the buffer
	Buf    uint64
	Cap    int    // answers that fit
	Full   uint64 // address of an int3, hit when Count is Cap; set Count to 0 and resume behind it
	Real   uint64 // the kernel's clock_gettime; 0 if there is none
	Replay uint64 // leaves the slot as it is
	Stub   uint64 // clock_gettime as the program calls it
}

// An Area says how to lay out the engine area of one process.
type Area struct {
	Base     uint64
	Maps     []Map
	Writes   []Write
	Gadget   uint64    // syscall; int3
	VdsoBase uint64    // for AT_SYSINFO_EHDR
	vsyscall [3]uint64 // functions in the place of the vsyscalls
	Room     uint64    // memory for the engine's own use
	Time     TimeFunc
	stack    mem.Range
}

// Build lays out the area at base, which must be page aligned, for a process
// whose vDSO has the bytes vdso at realVdsoBase. Without a vDSO (nil, as on
// replay) the function cell holds Clock.Replay; a vDSO without clock_gettime
// (or none in a process that is recorded) needs ModeSyscall, which Build sets
// for the first.
func Build(base uint64, vdso []byte, realVdsoBase uint64) (*Area, error) {
	if base%0x1000 != 0 || base == 0 || base+AreaSize < base {
		return nil, fmt.Errorf("engine area at %#x: bad address", base)
	}
	l := assemble(base)
	img := &Area{
		Base: base,
		Maps: []Map{
			{mem.Range{Addr: base, Len: CodeSize}, ProtRead | ProtExec},
			{mem.Range{Addr: base + dataOff, Len: AreaSize - dataOff}, ProtRead | ProtWrite},
		},
		Gadget:   base + uint64(l.gadget),
		Room:     base + roomOff,
		VdsoBase: base,
		Time: TimeFunc{
			FnCell: base + fnOff, Mode: base + modeOff, Count: base + countOff,
			Buf: base + bufOff, Cap: MaxReadings,
			Full: base + uint64(l.full), Replay: base + uint64(l.replay), Stub: base + uint64(l.timeFunc),
		},
		stack: mem.Range{Addr: base + stackOff, Len: AreaSize - stackOff},
	}
	for i, off := range l.vsyscall {
		img.vsyscall[i] = base + uint64(off)
	}
	fn, mode := img.Time.Replay, uint32(ModeBuffer)
	if vdso != nil {
		off, err := timeSymbol(vdso)
		if err != nil {
			return nil, fmt.Errorf("read the vDSO at %#x: %w", realVdsoBase, err)
		}
		if off == 0 {
			mode = ModeSyscall
		} else {
			img.Time.Real = realVdsoBase + off
			fn = img.Time.Real
		}
	}
	headers := l.vdso()
	if len(headers) > codeOff || len(l.code) > dataOff-codeOff {
		return nil, fmt.Errorf("engine area: %d bytes of headers, %d of code don't fit", len(headers), len(l.code))
	}
	img.Writes = []Write{
		{base, headers},
		{base + codeOff, l.code},
		{img.Time.FnCell, le(fn, mode)},
		{base + pauseOff, le(uint64(PauseNone))},
	}
	return img, nil
}

// Scratch is writable memory of at least a page that nothing of the program's
// uses: the far end of the private stack.
func (img *Area) Scratch() uint64 { return img.stack.Addr }

// InClock tells whether a thread with this stack pointer is inside the
// kernel's clock_gettime, called by the stub. A system call stop there (the
// kernel's code makes one when the clock source or the clock needs it) is no
// event: its answer comes with the buffer, and on replay it isn't made. Resume
// the thread at once.
func (img *Area) InTimeFunc(rsp uint64) bool {
	return rsp >= img.stack.Addr && rsp-img.stack.Addr <= img.stack.Len
}

// clockSymbol finds clock_gettime in the bytes of a vDSO, as an offset from
// its start; 0 if the vDSO has none. It goes by program headers, as the
// dynamic linker does: a kernel may leave the section headers out.
func timeSymbol(vdso []byte) (uint64, error) {
	file, err := elf.NewFile(bytes.NewReader(vdso))
	if err != nil {
		return 0, err
	}
	if file.Class != elf.ELFCLASS64 || file.Machine != elf.EM_X86_64 {
		return 0, fmt.Errorf("not for x86-64")
	}
	var load, dynamic *elf.Prog
	for _, p := range file.Progs {
		switch {
		case p.Type == elf.PT_LOAD && load == nil:
			load = p
		case p.Type == elf.PT_DYNAMIC:
			dynamic = p
		}
	}
	if load == nil || dynamic == nil {
		return 0, fmt.Errorf("no dynamic segment")
	}
	// at returns the bytes at a link-time address; none if it is outside.
	at := func(addr uint64) []byte {
		off := addr - load.Vaddr + load.Off
		if off >= uint64(len(vdso)) {
			return nil
		}
		return vdso[off:]
	}
	var symtab, strtab uint64
	for d := at(dynamic.Vaddr); len(d) >= 16; d = d[16:] {
		tag, val := elf.DynTag(binary.LittleEndian.Uint64(d)), binary.LittleEndian.Uint64(d[8:])
		switch tag {
		case elf.DT_SYMTAB:
			symtab = val
		case elf.DT_STRTAB:
			strtab = val
		}
		if tag == elf.DT_NULL {
			break
		}
	}
	syms, names := at(symtab), at(strtab)
	if strtab > symtab { // the tables follow each other; no tag says where symbols end
		syms = syms[:min(uint64(len(syms)), strtab-symtab)]
	}
	want := append([]byte(vdsoTime), 0)
	for ; len(syms) >= elf.Sym64Size; syms = syms[elf.Sym64Size:] {
		name := binary.LittleEndian.Uint32(syms)
		shndx := binary.LittleEndian.Uint16(syms[6:])
		if uint64(name) >= uint64(len(names)) || !bytes.HasPrefix(names[name:], want) || shndx == uint16(elf.SHN_UNDEF) {
			continue
		}
		value := binary.LittleEndian.Uint64(syms[8:])
		off := value - load.Vaddr + load.Off
		if off == 0 || off >= uint64(len(vdso)) {
			return 0, fmt.Errorf("%s at %#x is outside", vdsoTime, value)
		}
		return off, nil
	}
	return 0, nil
}
