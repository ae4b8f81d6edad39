package capture

import "fmt"

// callState says how far the system call of a thread has come, and what the log
// has of it. It decides what the thread's next stop at a system call means, and
// whether what it did becomes one event or two.
type callState uint8

const (
	// callNone: the thread runs the program's code.
	callNone callState = iota
	// callEntering: it is stopped before its call.
	callEntering
	// callInside: it makes the call, and the log has nothing of that yet. Where
	// it keeps the slot until it returns, all of it becomes one event.
	callInside
	// callLogged: the log has that it entered, so others may run; that it
	// returns becomes an event of its own.
	callLogged
	// callInterrupted: a signal cut it short. The kernel delivers the signal, or
	// makes the call again, before the thread runs any code.
	callInterrupted
	// callCut: the same for a call that makes a process which it then waits for, and
	// has made none: the log gets it when the process is known.
	callCut
	// callReturning: it is stopped behind its call and waits for the slot. Its
	// result was not taken yet: to the program it is still inside.
	callReturning
	// callPrinted: the same, but its result is in the log already: what it wrote
	// to the command's own output is not lost if the thread never runs again.
	callPrinted
	// callUnseen: the vDSO's own code makes a call, which no log has.
	callUnseen

	numCallStates
)

var callNames = [...]string{"none", "entering", "inside", "logged", "interrupted", "cut short", "returning", "printed", "unseen"}

func (s callState) String() string { return callNames[s] }

// callMove is what happens to a call.
type callMove uint8

const (
	moveEnter     callMove = iota // the thread stops before a call
	moveUnseen                    // the same, in the vDSO
	moveResume                    // it is let go to make it
	moveLog                       // that it entered goes into the log
	moveInterrupt                 // it stops with a result that says: again
	moveCut                       // the same, and it is to make a process
	moveAgain                     // it stops before the same call
	moveWait                      // it has returned, but another has the slot
	movePrint                     // its result goes into the log at once
	moveTake                      // its result is taken
	moveDrop                      // a handler runs in place of its end, or the call is of no interest any more

	numCallMoves
)

var moveNames = [...]string{"enter", "enter unseen", "resume", "log", "interrupt", "cut short", "make again", "let wait", "log the output of", "take", "drop"}

const never = numCallStates

// callTable has the state after each move. A thread whose call is not in the
// log may not give the slot away, and a call that was cut short is in the log
// before anything but the same call happens; so all states that wait come after
// callLogged.
var callTable = [numCallStates][numCallMoves]callState{
	//               enter         unseen      resume           log              interrupt        cut      again       wait           print        take      drop
	callNone:        {callEntering, callUnseen, callNone, never, never, never, never, never, never, never, callNone},
	callEntering:    {never, never, callInside, callLogged, never, never, never, never, never, never, callNone},
	callInside:      {never, never, callInside, callLogged, never, callCut, never, never, never, callNone, callNone},
	callLogged:      {never, never, callLogged, callLogged, callInterrupted, never, never, callReturning, never, callNone, callNone},
	callInterrupted: {never, never, callInterrupted, callInterrupted, never, never, callLogged, never, never, never, callNone},
	callCut:         {never, never, callCut, callInterrupted, never, never, callInside, never, never, never, callNone},
	callReturning:   {never, never, callReturning, callReturning, never, never, never, never, callPrinted, callNone, callNone},
	callPrinted:     {never, never, callPrinted, callPrinted, never, never, never, never, never, callNone, callNone},
	callUnseen:      {never, never, callUnseen, callUnseen, never, never, never, never, never, callNone, callNone},
}

// move changes the state. What the table does not allow is a mistake of the
// recorder's, which survive turns into the end of the recording.
func (s *callState) move(m callMove) {
	next := callTable[*s][m]
	if next == never {
		panic(fmt.Sprintf("%s a call that is %s", moveNames[m], *s))
	}
	*s = next
}

// open reports whether the thread is to be seen inside a call of the program's.
func (s callState) open() bool { return s != callNone && s != callUnseen && s != callPrinted }

// unlogged reports whether the log has nothing of a call that the thread is in.
func (s callState) unlogged() bool { return s == callEntering || s == callInside || s == callCut }

// cut reports whether a call is to come again, or the signal that cut it short.
func (s callState) cut() bool { return s == callInterrupted || s == callCut }
