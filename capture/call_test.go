package capture

import (
	"fmt"
	"strings"
	"testing"

	"pyrr/internal/recording"
)

func movesOf(t *testing.T, moves ...callMove) callState {
	t.Helper()
	var s callState
	for _, m := range moves {
		s.move(m)
	}
	return s
}

func TestCallMoves(t *testing.T) {
	tests := []struct {
		name  string
		moves []callMove
		want  callState
	}{
		{"user code goes on", []callMove{moveResume}, callNone},
		{"before a call", []callMove{moveEnter}, callEntering},
		{"in it", []callMove{moveEnter, moveResume}, callInside},
		{"it keeps the slot until it returns", []callMove{moveEnter, moveResume, moveTake}, callNone},
		{"it stands before it and waits for memory", []callMove{moveEnter, moveLog}, callLogged},
		{"then makes it", []callMove{moveEnter, moveLog, moveResume}, callLogged},
		{"it gives the slot away", []callMove{moveEnter, moveResume, moveLog}, callLogged},
		{"and gets it back", []callMove{moveEnter, moveResume, moveLog, moveWait}, callReturning},
		{"what it wrote is logged", []callMove{moveEnter, moveResume, moveLog, moveWait, movePrint}, callPrinted},
		{"and its result taken later", []callMove{moveEnter, moveResume, moveLog, moveWait, movePrint, moveTake}, callNone},
		{"its result is taken", []callMove{moveEnter, moveResume, moveLog, moveWait, moveTake}, callNone},
		{"it is logged, and returns before anybody wants the slot", []callMove{moveEnter, moveResume, moveLog, moveTake}, callNone},
		{"a signal cuts it short", []callMove{moveEnter, moveResume, moveLog, moveInterrupt}, callInterrupted},
		{"and a handler runs", []callMove{moveEnter, moveResume, moveLog, moveInterrupt, moveDrop}, callNone},
		{"or nothing handles it", []callMove{moveEnter, moveResume, moveLog, moveInterrupt, moveResume, moveAgain, moveResume}, callLogged},
		{"twice", []callMove{moveEnter, moveResume, moveLog, moveInterrupt, moveAgain, moveInterrupt, moveAgain, moveTake}, callNone},
		{"a call that makes a process is cut short", []callMove{moveEnter, moveResume, moveCut}, callCut},
		{"and comes again", []callMove{moveEnter, moveResume, moveCut, moveResume, moveAgain, moveResume}, callInside},
		{"and is logged with its process", []callMove{moveEnter, moveResume, moveCut, moveResume, moveAgain, moveLog, moveTake}, callNone},
		{"or a handler runs, and the log has that nothing was made", []callMove{moveEnter, moveResume, moveCut, moveLog, moveDrop}, callNone},
		{"a signal comes before the call", []callMove{moveEnter, moveLog, moveDrop}, callNone},
		{"it executes another program", []callMove{moveEnter, moveResume, moveDrop}, callNone},
		{"the vDSO makes a call", []callMove{moveUnseen, moveResume}, callUnseen},
		{"which returns", []callMove{moveUnseen, moveResume, moveTake}, callNone},
		{"and is not logged", []callMove{moveUnseen, moveLog}, callUnseen},
		{"logging twice is once", []callMove{moveEnter, moveResume, moveLog, moveLog}, callLogged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := movesOf(t, tt.moves...); got != tt.want {
				t.Errorf("it is %s, want %s", got, tt.want)
			}
		})
	}
}

// A mistake that would log an event in the wrong place is noticed.
func TestCallMovesThatMustNotBe(t *testing.T) {
	tests := []struct {
		name  string
		moves []callMove
		last  callMove
	}{
		{"a call in a call", []callMove{moveEnter, moveResume}, moveEnter},
		{"a second one that returns", []callMove{moveEnter, moveResume, moveTake}, moveTake},
		{"the slot is given away unlogged", []callMove{moveEnter, moveResume}, moveWait},
		{"it is cut short unlogged", []callMove{moveEnter, moveResume}, moveInterrupt},
		{"a call that is in the log is cut short as one that is not", []callMove{moveEnter, moveResume, moveLog}, moveCut},
		{"the slot is given away before it comes again", []callMove{moveEnter, moveResume, moveCut}, moveWait},
		{"it is made again without being cut short", []callMove{moveEnter, moveResume, moveLog}, moveAgain},
		{"it returns after it was cut short", []callMove{moveEnter, moveResume, moveLog, moveInterrupt}, moveTake},
		{"it is taken before it was made", []callMove{moveEnter}, moveTake},
		{"user code is logged as a call", nil, moveLog},
		{"user code returns", nil, moveTake},
		{"a call that returned is cut short", []callMove{moveEnter, moveResume, moveLog, moveWait}, moveInterrupt},
		{"its output is logged before it returns", []callMove{moveEnter, moveResume, moveLog}, movePrint},
		{"its output is logged twice", []callMove{moveEnter, moveResume, moveLog, moveWait, movePrint}, movePrint},
		{"an unseen call waits", []callMove{moveUnseen}, moveWait},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := movesOf(t, tt.moves...)
			before := s
			defer func() {
				p := recover()
				if p == nil {
					t.Errorf("%s became %s", before, s)
				} else if text := fmt.Sprint(p); !strings.Contains(text, before.String()) {
					t.Errorf("the message does not say in which state the call was: %s", text)
				}
			}()
			s.move(tt.last)
		})
	}
}

// Each state can be reached, and dropping the call leaves it again.
func TestCallStatesAreConnected(t *testing.T) {
	reached := map[callState]bool{callNone: true}
	for range numCallStates {
		for from := range reached {
			for m := range numCallMoves {
				if to := callTable[from][m]; to != never {
					reached[to] = true
				}
			}
		}
	}
	for s := range numCallStates {
		if !reached[s] {
			t.Errorf("%s is never reached", s)
		}
		if callTable[s][moveDrop] != callNone {
			t.Errorf("%s can't be dropped", s)
		}
		if callTable[s][moveResume] == never {
			t.Errorf("%s can't be resumed", s)
		}
		if s.unlogged() && !s.open() {
			t.Errorf("%s is not open, but shall be logged", s)
		}
		// The call of a thread that waits must be in the log, because other threads go on.
		if (s == callReturning || s == callPrinted || s == callInterrupted) && s.unlogged() {
			t.Errorf("%s is not in the log", s)
		}
	}
}

// What a thread does follows from where it is.
func TestWhereAThreadIs(t *testing.T) {
	tests := []struct {
		state               state
		moves               []callMove
		computing, inKernel bool
	}{
		{stateNew, nil, false, false},
		{stateRun, nil, true, false},
		{stateRun, []callMove{moveEnter}, false, false},
		{stateRun, []callMove{moveEnter, moveResume}, false, true},
		{stateRun, []callMove{moveEnter, moveResume, moveLog}, false, true},
		{stateReady, []callMove{moveEnter, moveResume, moveLog, moveWait}, false, false},
		{stateReady, nil, false, false},
		{stateDying, []callMove{moveEnter, moveLog}, false, false},
	}
	for _, tt := range tests {
		th := &task{state: tt.state, inCall: inCall{sys: movesOf(t, tt.moves...)}}
		if th.computing() != tt.computing || th.inKernel() != tt.inKernel {
			t.Errorf("state %d, call %s: computing %v, in the kernel %v", tt.state, th.sys, th.computing(), th.inKernel())
		}
	}
}

// Open calls are logged once, whatever state they are in.
func TestOpenCallsAreLoggedOnce(t *testing.T) {
	dir := t.TempDir()
	w := recording.Hold(dir+"/x.pyrr.part", recording.Header{})
	defer w.Discard()
	ep := &epoch{w: w, live: map[*process]bool{}}
	p := &process{logState: logState{ep: ep, stream: w.Stream(1)}, tasks: map[int]*task{}, mode: modeRecord}
	p.stream.Reserve(1) // its beginning
	states := map[callState][]callMove{
		callNone:        nil,
		callEntering:    {moveEnter},
		callInside:      {moveEnter, moveResume},
		callLogged:      {moveEnter, moveLog},
		callInterrupted: {moveEnter, moveLog, moveInterrupt},
		callReturning:   {moveEnter, moveLog, moveWait},
		callPrinted:     {moveEnter, moveLog, moveWait, movePrint},
		callUnseen:      {moveUnseen},
	}
	tid := 1
	for want, moves := range states {
		th := &task{tid: tid, proc: p, inCall: inCall{sys: movesOf(t, moves...), ev: recording.Event{TID: int32(tid), Nr: 7}}}
		if th.sys != want {
			t.Fatalf("it is %s, not %s", th.sys, want)
		}
		p.tasks[tid] = th
		tid++
	}
	r := &recorder{o: Options{Warn: func(s string) { t.Error(s) }}}
	r.logOpen(p)
	if p.events != 2 {
		t.Errorf("%d events for the two that were not in the log", p.events)
	}
	r.logOpen(p)
	if p.events != 2 {
		t.Errorf("%d events after the second time", p.events)
	}
}
