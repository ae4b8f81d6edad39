package recording

// The words of Event.Args mean something else in each kind of event that is no
// system call; what they mean is said here once, and docs/format.md lists it.

// Area is where the recorder keeps its own memory in a process: Args of a
// KindStart with an image.
type Area struct {
	Base   uint64 // address of the area, 0 for none
	FnCell uint64 // of the pointer to the function that reads the clock
	Count  uint64 // of the number of clock readings in the buffer
	Buf    uint64 // of the buffer
	Cap    uint64 // how many readings it holds
	Replay uint64 // of the functions that a replay uses instead
}

// Area returns what a KindStart says of the recorder's memory.
func (ev *Event) Area() Area {
	a := &ev.Args
	return Area{a[0], a[1], a[2], a[3], a[4], a[5]}
}

// SetArea sets it.
func (ev *Event) SetArea(a Area) {
	ev.Args = [6]uint64{a.Base, a.FnCell, a.Count, a.Buf, a.Cap, a.Replay}
}

// Clock is what a KindWrite says that begins the counting of instructions or of
// pauses, or gives the process a buffer of calls: its Args.
type Clock struct {
	Budget uint64 // address of the budget; 0 where counting does not begin here
	Stubs  uint64 // of the counting stubs
	Bias   uint64 // load bias of the module with the interpreter
	Next   uint64 // 1 + the register that holds next_instr at a dispatch, 0 if it is not known
	Pauses uint64 // address of the budget of pauses; 0 where their counting does not begin here
	Calls  uint64 // of the buffer of calls, 0 where it is not made here
}

// Clock returns what a KindWrite says of the counting.
func (ev *Event) Clock() Clock {
	a := &ev.Args
	return Clock{a[0], a[1], a[2], a[3], a[4], a[5]}
}

// SetClock sets it.
func (ev *Event) SetClock(c Clock) {
	ev.Args = [6]uint64{c.Budget, c.Stubs, c.Bias, c.Next, c.Pauses, c.Calls}
}

// ClockStarts reports whether the counting of instructions begins at an event,
// and the version of the interpreter whose they are.
func (ev *Event) ClockStarts() (python string, ok bool) {
	if ev.Kind != KindWrite || ev.Text == "" || ev.Clock().Budget == 0 {
		return "", false
	}
	return ev.Text, true
}
