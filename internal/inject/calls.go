package inject

import (
	"encoding/binary"
	"fmt"
	"slices"

	"pyrr/internal/mem"
)

// The calls area lets a process make the commonest system calls without being
// stopped, and keeps what the recorder has to know of each in a buffer:
//
//	0x0000  R-X  common code, then a trampoline for each patched site
//	 ....   RW-  cells, the table of calls, the map of descriptors
//	 ....   RW-  buffer of records
//
// A site is `syscall; cmp $-4096,%rax` in the C library, or `mov $nr,%eax; syscall` of a
// call that is buffered, replaced by a jump to its trampoline. Where the mode cell is
// callsOff that makes the call by a syscall instruction of its own, which stops as any
// other does. Where it is callsOn, and the call is one of the table, the common code makes
// it, without waiting, from the one syscall instruction that the kernel lets pass (Syscall
// User Dispatch), and appends a record. A replay leaves the cell at callsOff, and each call
// stops, or sets it to callsFed and takes many at once.
//
// Both ways leave rcx and r11, which a system call destroys, at zero. The code
// is written for one thread at a time, like that of the engine area.
const (
	callCommon   = 0x2800 // room for the common code
	leastCommon  = 0x400  // what it was in the first recordings
	trampSize    = 32
	trampSlow    = 12 // offset of the trampoline's syscall instruction, without what comes before
	cellMode     = 0x00
	cellPos      = 0x08
	cellLimit    = 0x10
	cellRet      = 0x18
	cellCur      = 0x20
	cellClass    = 0x28
	cellBudget   = 0x30
	cellBase     = 0x38
	cellReadings = 0x40
	cellNr       = 0x48 // rax, rsi, rdx and r10 of a call while another is made before it
	cellSI       = 0x50
	cellDX       = 0x58
	cell10       = 0x60
	cellKind     = 0x68 // of the file that is opened
	cellReady    = 0x6c // another thread is ready
	cellLast     = 0x70 // the anonymous memory that was mapped last, and its length, if it still is there
	cellDevs     = 0x80 // devices whose regular files can be opened
	cellOuts     = 0xa0 // device and inode of files that can't: where pyrr's own output goes
	cellShared   = 0xc0 // parts of the address space with shared memory, start and length: what points there is no argument of a buffered call
	cellTable    = 0x100
	cellFDs      = 0x280
	cellMask     = 0x7f8  // what the thread blocks, with bit maskNoted, once it has changed it
	cellHeld     = 0x800  // inodes, by their lowest bits, of files that can't be opened
	callBufOff   = 0x1000 // of the buffer behind the cells
	callBufSize  = 0x80000
	// Selectors is how many bytes there are behind the buffer that tell the kernel
	// whether a thread's system calls are to end in a SIGSYS (prctl(2),
	// PR_SET_SYSCALL_USER_DISPATCH). A replay has no use for them.
	Selectors = 0x1000

	callTable = 0x180 // entries of the table of calls
	// Of the numbers there is none from firstUnused on before firstLate: calls that came
	// later have entries lateBy before their numbers.
	firstUnused, firstLate, lateBy = 335, 424, 64
	lastCall                       = callTable + lateBy
	// maskNoted is the bit of SIGKILL, which nobody can block.
	maskNoted = 1 << 8
	// CallFDs is the number of descriptors in the map of regular files.
	CallFDs = 0x400
	// FDRead in that map says that reads of a descriptor never wait, FDWrite
	// that writes don't and that nobody else has to see them.
	FDRead, FDWrite = 1, 2
	// FDStdout and FDStderr say of a descriptor that can be written to that it is the
	// command's own output, of which all is kept, and FDPipe that a write may wait.
	FDStdout, FDStderr, FDPipe = 4, 8, 16
	// FDTry says of a pipe or a socket that reads and writes may wait: they are tried
	// without waiting first. FDSocket says that it is a socket, FDStream that it is one of
	// bytes of which a receive takes what there is.
	FDTry, FDSocket, FDStream = 32, 64, 128
	// FDMaster is the master of a terminal, which no attempt can read from: a poll says
	// whether a read waits.
	FDMaster = FDRead | FDTry | FDPipe
	// maxCallData bounds what a buffered call may write, maxCallPath the path
	// that is kept of it, maxCallIn what is kept of the data that it gave.
	maxCallData = 0x10000
	maxCallPath = 0x400
	maxCallIn   = 0x80
	// maxCallOut bounds what is received at once, maxPolled and maxReady how
	// many descriptors a poll is about, and how many events epoll_wait returns.
	maxCallOut = 0x40000
	maxPolled  = 0x40
	maxReady   = 0x400
	// maxPrinted is PIPE_BUF: a pipe takes all of so much, or nothing (pipe(7)).
	// maxSent is the same for any socket that has nothing left to send.
	maxPrinted = 0x1000
	maxSent    = 0x800
	// ReadyCalls is the number of the call that stops, counted from when another thread
	// is ready: a stop costs as much as so many calls without one.
	ReadyCalls = 12
	// SharedParts is how many parts of the address space it knows to be shared.
	SharedParts = 4
	// MaxDevs is how many devices the calls area knows.
	MaxDevs = 4
	// HeldBytes is the size of the bit map of inodes that are not to be opened
	// without a stop.
	HeldBytes = 0x800
	// callHead is the size of a record without its data.
	callHead = 192
	// MaxSites bounds the sites of an area.
	MaxSites = 4096
)

// Offsets in a record.
const (
	recNr       = 0
	recArgs     = 8
	recRet      = 56
	recInstr    = 64
	recBegan    = 72
	recEnded    = 80
	recRegs     = 88 // rbx, rbp, rsp, r12 … r15
	recPC       = 144
	recReadings = 152
	recOut      = 160
	recOutLen   = 168
	recInLen    = 176
	recNext     = recEnded // on replay: where the next record is
)

// What the mode cell says.
const (
	callsOff = 0 // every call stops
	callsOn  = 1 // calls of the table are made and noted
	callsFed = 2 // the records in the buffer say what the next calls did
)

// A CallsArea says how to lay out the calls area of a process.
type CallsArea struct {
	Base   uint64
	Size   uint64
	Code   mem.Range // R-X, the rest RW-
	Buf    uint64    // of records
	Writes []Write
	// Pass is the code that the kernel is to let make system calls: the
	// common code.
	Pass mem.Range
	// Mask (8) is what the thread that runs blocks, once a call of this area has changed
	// it; NewMask reads it. Mode (4 bytes) is 1 to buffer; Pos (8) is where the next record goes. Budget (8)
	// holds the address of the clock's cell or 0, Total (8) what less that cell is the
	// instruction count. FDs holds a byte for each descriptor: FDRead, FDWrite. Devs holds
	// up to MaxDevs numbers of devices (st_dev, 8 bytes) whose regular files open without
	// a stop. Last (8) is to be zeroed when the mappings change otherwise. Held is a bit
	// map: a file is opened with a stop if the bit is set with the number of its inode
	// modulo 8*HeldBytes. Ready (1) is not 0 where another thread waits for the one that
	// runs, or was woken by it: after so many more calls for which CPython lets go of the
	// GIL, one stops.
	Mode, Pos, Budget, Total, FDs, Devs, Last, Held, Ready, Mask uint64
	// Selectors is where those bytes lie.
	Selectors uint64
	// Data is where the cells begin, which is what NewCallFeed takes.
	Data uint64

	common commonCode
}

// commonCode is what lies where in the code that all sites share.
type commonCode struct {
	negate, total uint64 // addresses of the instructions that Recount is about
	labels        map[string]int
}

// CallsSize is the size of the calls area for so many sites.
func CallsSize(sites int) uint64 {
	return CallsCode(sites) + callBufOff + callBufSize + Selectors
}

// CallsCode is the size of the code that the area begins with.
func CallsCode(sites int) uint64 {
	return (callCommon + uint64(sites)*trampSize + 0xfff) &^ 0xfff
}

// BuildCalls lays out the calls area at base for code that lies at bias plus
// its link-time address, within 2 GiB of it.
func BuildCalls(base, bias uint64, sites []CallSite) (*CallsArea, error) {
	code := CallsCode(len(sites))
	img := &CallsArea{Base: base, Size: CallsSize(len(sites)), Code: mem.Range{Addr: base, Len: code}}
	data := base + code
	img.Data, img.Buf, img.Selectors = data, data+callBufOff, data+callBufOff+callBufSize
	img.Devs, img.Last, img.Held, img.Ready, img.Mask = data+cellDevs, data+cellLast, data+cellHeld, data+cellReady, data+cellMask
	img.Mode, img.Pos, img.Budget, img.Total, img.FDs = data+cellMode, data+cellPos, data+cellBudget, data+cellBase, data+cellFDs

	text, labels := assembleCalls(uint32(code))
	// The last two instructions before it: of 3 and 7 bytes.
	counted := base + uint64(labels["counted"])
	img.common = commonCode{negate: counted - 10, total: counted - 7, labels: labels}
	if len(text) > callCommon {
		return nil, fmt.Errorf("calls area: %d bytes of common code don't fit", len(text))
	}
	img.Pass = mem.Range{Addr: base, Len: callCommon}
	text = append(text, make([]byte, callCommon-len(text))...)
	rel := func(from, to uint64) uint32 { return uint32(to - from) }
	for i, s := range sites {
		at := base + callCommon + uint64(i)*trampSize
		site := bias + s.Vaddr
		if d := int64(at - site); d > 1<<31-1<<20 || d < -(1<<31-1<<20) {
			return nil, fmt.Errorf("calls area at %#x: too far from the code at %#x", base, site)
		}
		t := slices.Clone(s.before())
		t = append(t, 0x48, 0x8d, 0x0d, trampSlow+2-7, 0, 0, 0, 0xe9) // lea rcx, [behind the syscall]; jmp common
		t = binary.LittleEndian.AppendUint32(t, rel(at+uint64(len(t))+4, base))
		t = append(t, 0x0f, 0x05)                   // syscall
		t = append(t, 0x31, 0xc9, 0x45, 0x31, 0xdb) // xor ecx, ecx; xor r11d, r11d
		t = append(t, s.after()...)
		t = append(t, 0xe9)
		t = binary.LittleEndian.AppendUint32(t, rel(at+uint64(len(t))+4, site+uint64(s.Len)))
		for len(t) < trampSize {
			t = append(t, 0xcc)
		}
		text = append(text, t...)

		jump := binary.LittleEndian.AppendUint32([]byte{0xe9}, rel(site+5, at))
		for len(jump) < s.Len {
			jump = append(jump, 0x90)
		}
		img.Writes = append(img.Writes, Write{site, jump})
	}
	img.Writes = append(img.Writes, Write{base, text})
	return img, nil
}

// Split takes out of the image's Writes those that patch the sites from first on.
func (img *CallsArea) Split(first int) (late, now []Write) {
	n := len(img.Writes) - 1 // the last is the code of the area
	return img.Writes[first:n:n], append(img.Writes[:first:first], img.Writes[n])
}

// A FileID names a file by its device and inode (stat(2)).
type FileID struct{ Dev, Ino uint64 }

// Cells are the writes that a recorder makes to the area beyond Writes, which
// it keeps from the recording: a replay does without. The files outs, two at
// most, are not to be opened without a stop. Permit goes with them.
func (img *CallsArea) Cells(readings uint64, outs []FileID) []Write {
	data := img.Data
	var files [2]FileID
	copy(files[:], outs)
	limit := img.Buf + callBufSize - (callHead + maxCallData + maxCallPath + 64)
	return []Write{
		{data + cellPos, le(img.Buf, limit)},
		{data + cellReadings, le(readings)},
		{data + cellOuts, le(files)},
	}
}

// TSC reads the processor's time stamp counter.
func TSC() uint64 { return rdtsc() }

// CallSiteOf returns the address in the C library that a program counter in
// the trampolines of a calls area stands for: the one behind the system call
// that the trampoline replaces. base is where the area begins.
func CallSiteOf(m mem.Reader, base, pc uint64) (uint64, bool) {
	if pc < base+leastCommon {
		return 0, false
	}
	at := base + (pc-base)/trampSize*trampSize
	var b [trampSize]byte
	if m.ReadAt(b[:], at) != nil {
		return 0, false
	}
	back := trampSlow + 2 + 5 // behind the two xor
	n := 0
	if setsNumber(b[:]) {
		back += movSize
	} else if n = afterCall(b[back:]); n == 0 {
		return 0, false
	}
	back += n
	if b[back] != 0xe9 {
		return 0, false
	}
	next := at + uint64(back+5) + uint64(int64(int32(binary.LittleEndian.Uint32(b[back+1:]))))
	return next - uint64(n), true
}
