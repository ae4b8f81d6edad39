package recording

// The words of Event.Args mean something else in each kind of event that is no
// system call; what they mean is said here once, and docs/format.md lists it.

// argWord is one word of Args: the name of its field in Area, Clock or SigInfo.
type argWord struct{ name, doc string }

// argWords has a row for each word; docs/format.md follows it.
var argWords = map[Kind][]argWord{
	KindStart: {
		{"Base", "address of the recorder's own memory in the process, 0 for none"},
		{"FnCell", "address of the pointer to the function that reads the clock"},
		{"Count", "address of the number of readings in the buffer of clock readings"},
		{"Buf", "address of that buffer"},
		{"Cap", "how many readings it holds"},
		{"Replay", "address of the function that a replay puts in its place"},
	},
	KindWrite: {
		{"Budget", "address of the budget of instructions; 0 where their counting does not begin here. Text is the version of the interpreter"},
		{"Stubs", "address of the counting stubs"},
		{"Bias", "load bias of the module with the interpreter"},
		{"Next", "1 + number of the register that holds the next instruction at a dispatch; plus 512 where it is in memory, at that register plus the upper 4 bytes, signed; 0 if it is not known"},
		{"Pauses", "address of the budget of pauses; 0 where their counting does not begin here"},
		{"Calls", "address of the data of the buffer of system calls; 0 where it does not begin here"},
	},
	KindSignal: {
		{"Signo", "si_signo in the low 4 bytes, si_errno in the others"},
		{"Code", "si_code in the low 4 bytes (sigaction(2)): above 0 where the kernel raised it"},
		{"From", "si_pid in the low 4 bytes and si_uid in the others, of one that a process sent, or of SIGCHLD; of a timer si_timerid and si_overrun; of a fault si_addr; of SIGPOLL si_band; of SIGSYS si_call_addr"},
		{"Value", "si_value of one that was sent with a value, or of a timer; of SIGCHLD si_status in the low 4 bytes; of a fault si_addr_lsb in the low 2 bytes, or si_trapno; of SIGPOLL si_fd; of SIGSYS si_syscall and si_arch, 4 bytes each"},
		{"Low", "of SIGCHLD si_utime; of a fault si_lower or si_pkey"},
		{"High", "of SIGCHLD si_stime; of a fault si_upper"},
	},
}

// Area is where the recorder keeps its own memory in a process: the words of a
// KindStart with an image, as argWords has them.
type Area struct{ Base, FnCell, Count, Buf, Cap, Replay uint64 }

// Area returns what a KindStart says of the recorder's memory.
func (ev *Event) Area() Area {
	a := &ev.Args
	return Area{a[0], a[1], a[2], a[3], a[4], a[5]}
}

// Words are the Args that say it.
func (a Area) Words() [6]uint64 {
	return [6]uint64{a.Base, a.FnCell, a.Count, a.Buf, a.Cap, a.Replay}
}

// Clock is what a KindWrite says that begins the counting of instructions or of
// pauses, or gives the process a buffer of calls: its words, as argWords has them. Next
// is 1 plus the number of the register that holds next_instr, and 256 more where it
// points at the instruction although the version has moved it on by then.
type Clock struct{ Budget, Stubs, Bias, Next, Pauses, Calls uint64 }

// Clock returns what a KindWrite says of the counting.
func (ev *Event) Clock() Clock {
	a := &ev.Args
	return Clock{a[0], a[1], a[2], a[3], a[4], a[5]}
}

// Words are the Args that say it.
func (c Clock) Words() [6]uint64 {
	return [6]uint64{c.Budget, c.Stubs, c.Bias, c.Next, c.Pauses, c.Calls}
}

// ClockStarts reports whether the counting of instructions begins at an event,
// and the version of the interpreter whose they are.
func (ev *Event) ClockStarts() (python string, ok bool) {
	if ev.Kind != KindWrite || ev.Text == "" || ev.Clock().Budget == 0 {
		return "", false
	}
	return ev.Text, true
}

// SigInfo is the beginning of the siginfo_t of a KindSignal: its words, as argWords
// has them (asm-generic/siginfo.h).
type SigInfo struct{ Signo, Code, From, Value, Low, High uint64 }

// SigInfo returns what a KindSignal says of its signal.
func (ev *Event) SigInfo() SigInfo {
	a := &ev.Args
	return SigInfo{a[0], a[1], a[2], a[3], a[4], a[5]}
}

// Raised reports whether an instruction or the kernel raised the signal, and nobody
// sent it.
func (i SigInfo) Raised() bool { return int32(uint32(i.Code)) > 0 }

// Addr is the address of a fault.
func (i SigInfo) Addr() uint64 { return i.From }
