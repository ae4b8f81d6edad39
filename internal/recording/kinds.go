package recording

import (
	"fmt"
	"strconv"
)

// fieldSet is a set of the fields of an Event; the bit numbers are the
// field numbers of the format and are never reused.
type fieldSet uint64

// The fields in the order in which an event's encoding holds them.
const (
	fStop fieldSet = 1 << iota
	fTID
	fInstr
	fPC
	fRegSum
	fNr
	fArgs
	fRet
	fTime
	fEndTime
	fIn
	fReadings
	fMaps
	fChild
	fRegs
	fXState
	fProc
	fWhy
	fText
	fMem
	fPauses
	fOutSum
	fEnd // one past the last that matters to the execution
)

// The fields that a reader may skip.
const (
	fOpen fieldSet = 1 << (firstOptionalField + iota)
	fLast          // one past the last
)

const (
	knownFields = fEnd - 1 | fLast - 1<<firstOptionalField
	// firstOptionalField is the number from which on a reader may skip a
	// field that it does not know; below, an unknown field is an error.
	firstOptionalField = 32
	// firstOptionalKind is the same for kinds: one that a reader does not
	// know has no effect on the execution and is given out as a note.
	firstOptionalKind Kind = 128
)

// Fields that every kind may hold, and those that describe how an event was
// reached by running.
const (
	always  = fStop | fTID | fInstr | fTime | fText
	reached = fPC | fRegSum | fReadings
)

// kindRow is one row of the table of kinds: the name in the text form, the
// fields that an event must hold (other than zero) and those that it may.
// Writer, reader, text form and docs/format.md all follow it.
type kindRow struct {
	name string
	need fieldSet
	may  fieldSet
	show fieldSet // in the text form even where zero
	doc  string
}

var kindTable = [...]kindRow{
	KindStart: {"start", fProc,
		reached | fNr | fArgs | fRet | fMaps | fMem | fRegs | fXState | fChild | fOpen,
		0,
		"A process begins: from an image (Maps, Mem, Regs, XState; Open are its descriptors) or as a fork (Proc names the parent's event). Always the first event, and only that."},
	KindSyscall: {"syscall", 0,
		reached | fNr | fArgs | fRet | fEndTime | fIn | fMaps | fMem | fChild | fRegs | fXState | fWhy | fOutSum,
		fNr | fRet,
		"A system call, entered and returned with no other thread of the process running in between."},
	KindEnter: {"enter", 0,
		reached | fNr | fArgs | fRet | fEndTime | fIn | fMaps | fMem | fChild | fRegs | fXState | fWhy | fOutSum,
		fNr,
		"A thread enters a system call and gives way to others. Child is there already where the call is a vfork."},
	KindExit: {"exit", 0,
		reached | fNr | fArgs | fRet | fEndTime | fIn | fMaps | fMem | fChild | fRegs | fXState | fWhy | fOutSum,
		fNr | fRet,
		"The result of the thread's last enter event, or of the call that its `thread` event describes, where the thread runs again; for what it wrote to the command's own output, where it was written."},
	KindSwitch: {"switch", 0,
		reached | fNr | fRegs | fXState | fMem | fPauses,
		0,
		"A thread is preempted: before the instruction with the number Instr, behind the last of Pauses pauses, or in a loop that can't end by itself (Stop 6), whose state Regs, XState and Mem hold."},
	KindSignal: {"signal", fNr,
		reached | fArgs | fRet | fMaps | fMem | fRegs | fXState | fWhy | fPauses,
		0,
		"A signal handler's frame is built on the thread's stack: Nr is the signal, Args the first 48 bytes of its siginfo_t (zeros where not recorded), Mem the frame, Regs and XState the state at the handler's first instruction. Without Mem the signal has no handler: an instruction raised it, and it ends the process; Regs are those at the instruction."},
	KindInsn: {"insn", 0,
		reached | fNr | fArgs | fRet | fRegs | fXState | fMem,
		fNr,
		"An instruction executed for the program, as its result differs between machines or runs: Nr is which: 1 rdtsc, 2 rdtscp, 3 cpuid, 4 rdrand, 5 rdseed, 6 rdpid, 7 xgetbv, 8 pause, 9 vsyscall (what sets a register to an address in the kernel's vsyscall page sets it to a function that makes the system call), 10 lsl (the limit of a segment, one of which holds the number of the processor). Regs are the registers after it; a replay sets them and executes nothing."},
	KindWrite: {"write", 0,
		reached | fNr | fArgs | fRet | fMaps | fMem | fRegs | fXState | fChild,
		0,
		"The recorder's own preparation of the process, or what others and the kernel wrote there while no thread of it ran: Maps and Mem are to be applied."},
	KindReadings: {"readings", 0,
		reached | fNr | fRegs | fMem,
		0,
		"The buffer of clock readings is emptied, because it is full: Readings holds them all."},
	KindDeath: {"death", 0,
		reached | fNr | fArgs | fRet | fMem | fWhy,
		0,
		"One thread ends. Mem holds the words that the kernel wrote: the one of CLONE_CHILD_CLEARTID, and those of robust mutexes that it held. With Why `exec` it becomes another program, Text: a child of vfork, which runs in its maker's memory until then."},
	KindEnd: {"end", fWhy,
		reached | fNr | fRet | fMem,
		0,
		"The stream ends: Why says how, Ret is the wait status. Always the last event, and only that."},
	KindTimeout: {"timeout", 0,
		reached | fNr | fRet | fWhy,
		0,
		"The time-out expired. TID is that of the process."},
	KindNote: {"note", 0,
		reached | fNr | fArgs | fRet | fEndTime | fIn | fWhy,
		0,
		"A remark, in Text. It has no effect on the execution."},
	KindChecksum: {"checksum", 0,
		reached | fNr | fArgs | fRet | fMaps | fMem | fRegs | fXState,
		0,
		"Each of Mem is the address of a writable private mapping and the CRC-32C of each of its pages of 4096 bytes, 4 bytes each; 0 stands for a page that is not to be compared, and a sum of 0 is written as 1. The first word of one XSAVE header of a page (64 bytes, the others zero) may differ in its low byte: the processor need not say each time which registers are in use."},
	KindFault: {"fault", 0,
		reached | fNr | fArgs | fRet | fMaps | fMem | fRegs | fXState | fPauses,
		0,
		"A page of memory that is shared with other processes is brought up to date, at a fault or where another process asks for it: Maps holds the new protections of the mappings, Mem the new bytes. The program sees nothing of it."},
	KindThread: {"thread", fRegs,
		reached | fNr | fArgs | fRet | fIn | fXState | fWhy,
		0,
		"A thread that exists when the recording begins, in the state Regs and XState; with Why `call`, it waits in the system call that Nr, Args and In describe."},
}

// row returns the table's row for k, or nil where the format has no such kind.
func (k Kind) row() *kindRow {
	if int(k) < len(kindTable) && kindTable[k].name != "" {
		return &kindTable[k]
	}
	return nil
}

// String returns the name of the kind in the text form.
func (k Kind) String() string {
	if r := k.row(); r != nil {
		return r.name
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// KindByName returns the kind that the text form calls name.
func KindByName(name string) (Kind, bool) {
	for k := range kindTable {
		if kindTable[k].name == name && name != "" {
			return Kind(k), true
		}
	}
	return 0, false
}

var stopNames = [...]string{StopNone: "none", StopSyscall: "syscall", StopInstr: "instr", StopTrap: "trap", StopBuffered: "buffered", StopPause: "pause", StopSpin: "spin"}

// String returns the name of the stop in the text form.
func (s Stop) String() string {
	if int(s) < len(stopNames) {
		return stopNames[s]
	}
	return "stop(" + strconv.Itoa(int(s)) + ")"
}

// fieldRow describes a field for the documentation and the text form.
type fieldRow struct {
	bit    fieldSet
	name   string // of the field of Event
	coding string
	doc    string
}

// fieldTable has one row a field, in the order of the encoding.
var fieldTable = []fieldRow{
	{fStop, "Stop", "byte", "how the thread gets here: 0 none, 1 syscall, 2 instr, 3 trap, 4 buffered, 5 pause, 6 spin"},
	{fTID, "TID", "delta of TID", "thread, as the program saw it"},
	{fInstr, "Instr", "delta of Instr", "instruction count of the process"},
	{fPC, "PC", "value delta of PC", "program counter"},
	{fRegSum, "RegSum", "4 bytes", "checksum of the callee-saved registers and the stack pointer"},
	{fNr, "Nr", "svarint", "number of the syscall or signal, kind of instruction"},
	{fArgs, "Args", "byte: which of the six are not 0; svarint each", "syscall arguments"},
	{fRet, "Ret", "svarint", "raw result, -errno on failure; wait status"},
	{fTime, "Time", "delta of Time", "when it was reached, ns since the recording began"},
	{fEndTime, "EndTime", "svarint, minus Time", "when the syscall returned"},
	{fIn, "In", "bytes", "what an input argument pointed to; of `sendmsg` the control data; of a call that moved bytes to the command's own output (sendfile, splice) those"},
	{fReadings, "Readings", "bytes", "clock readings consumed since the last event, 16 bytes each"},
	{fMaps, "Maps", "list of mappings", "mappings to make"},
	{fChild, "Child", "svarint", "thread or process that a clone or fork made"},
	{fRegs, "Regs", "registers", "all registers"},
	{fXState, "XState", "bytes", "extended state, as XSAVE lays it out"},
	{fProc, "Proc", "process", "the process"},
	{fWhy, "Why", "bytes", "reason; in `syscall`, `enter` and `exit`, `1` or `2` for a call that writes to the command's own standard output or error"},
	{fText, "Text", "bytes", "remark"},
	{fMem, "Mem", "list of writes; their bytes are the record's data", "memory to write"},
	{fPauses, "Pauses", "varint", "pauses that threads passed since the last event whose Stop is neither 0 nor 4"},
	{fOutSum, "OutSum", "4 bytes", "CRC-32C of all the bytes that a call with Why `1` or `2` was given to write, where the thread enters it, 1 for 0; absent where they could not be read"},
	{fOpen, "Open", "list of descriptors", "what the process has open"},
}

// fields returns which fields of ev are not zero.
func (ev *Event) fields() fieldSet {
	var m fieldSet
	if ev.Stop != 0 {
		m |= fStop
	}
	if ev.TID != 0 {
		m |= fTID
	}
	if ev.Instr != 0 {
		m |= fInstr
	}
	if ev.PC != 0 {
		m |= fPC
	}
	if ev.RegSum != 0 {
		m |= fRegSum
	}
	if ev.Nr != 0 {
		m |= fNr
	}
	if ev.Args != [6]uint64{} {
		m |= fArgs
	}
	if ev.Ret != 0 {
		m |= fRet
	}
	if ev.Time != 0 {
		m |= fTime
	}
	if ev.EndTime != 0 {
		m |= fEndTime
	}
	if len(ev.In) != 0 {
		m |= fIn
	}
	if len(ev.Readings) != 0 {
		m |= fReadings
	}
	if len(ev.Maps) != 0 {
		m |= fMaps
	}
	if ev.Child != 0 {
		m |= fChild
	}
	if ev.Regs != nil {
		m |= fRegs
	}
	if len(ev.XState) != 0 {
		m |= fXState
	}
	if ev.Proc != nil {
		m |= fProc
	}
	if ev.Why != "" {
		m |= fWhy
	}
	if ev.Text != "" {
		m |= fText
	}
	if len(ev.Mem) != 0 {
		m |= fMem
	}
	if ev.Pauses != 0 {
		m |= fPauses
	}
	if ev.OutSum != 0 {
		m |= fOutSum
	}
	if len(ev.Open) != 0 {
		m |= fOpen
	}
	return m
}

// check says whether an event of kind k may hold exactly the fields have.
func (k Kind) check(have fieldSet) error {
	r := k.row()
	if r == nil {
		return fmt.Errorf("unknown kind of event %d", k)
	}
	if miss := r.need &^ have; miss != 0 {
		return fmt.Errorf("%s event without %s", r.name, miss)
	}
	if extra := have &^ (always | r.need | r.may); extra != 0 {
		return fmt.Errorf("%s event with %s", r.name, extra)
	}
	return nil
}

// String lists the names of the fields.
func (f fieldSet) String() string {
	s := ""
	for _, row := range fieldTable {
		if f&row.bit != 0 {
			if s != "" {
				s += ", "
			}
			s += row.name
		}
	}
	return s
}
