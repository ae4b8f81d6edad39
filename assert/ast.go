package assert

import (
	"time"
)

// Expectation says that an event happened, how often, and in what
// circumstances. A sentence and the map form both become one.
type Expectation struct {
	// Name is unique in the spec: the id, or the event, with a number where
	// several are equal.
	Name     string
	ID       string // "" for none
	Quantity Quantity
	Event    EventPattern
	Clauses  []Clause
	// Text is the expectation as a sentence.
	Text  string
	Place Place
}

// Quantity says how many events there must be. An ordinal says which of the
// events that satisfy all clauses the expectation binds to.
type Quantity struct {
	Min, Max int // Max is -1 for no limit
	Nth      int // 1 for the first, -1 for the last
	Text     string
	Place    Place
}

// positive reports whether something has to happen.
func (q Quantity) positive() bool { return q.Min > 0 }

// none reports whether nothing may happen.
func (q Quantity) none() bool { return q.Max == 0 }

// EventPattern selects events by what they are.
type EventPattern struct {
	// Kind is one of the Kind constants.
	Kind string
	// Text is the event as it was written.
	Text string
	// Names are the system calls, or the one signal; nil for any. Of a deadlock
	// they are who or what takes part, and may have stars.
	Names []string
	// Operand is what follows call, return, line, raise and enter; of a task,
	// thread, greenlet or lock its name, which may have stars, "" for any.
	Operand string
	// Where are the conditions of the expectation's clauses: an execution that
	// finds the events has to judge them.
	Where []string
	Frame *FramePattern
	Place Place
}

// stands reports whether what is looked for is how things stood at the end.
func (e *EventPattern) stands() bool { return stands(e.Kind) }

func stands(kind string) bool {
	switch kind {
	case KindTaskWaits, KindThreadWaits, KindGreenletWaits, KindDeadlock, KindLock:
		return true
	}
	return false
}

// executed reports whether finding the events needs the program's execution.
func (e *EventPattern) executed() bool { return executed(e.Kind) }

func executed(kind string) bool {
	switch kind {
	case KindCall, KindReturn, KindLine, KindRaise, KindEnter:
		return true
	}
	return false
}

// ClauseKind is the word that a clause begins with.
type ClauseKind string

// The clauses.
const (
	ClauseAt        ClauseKind = "at"
	ClauseIn        ClauseKind = "in"
	ClauseUnder     ClauseKind = "under"
	ClauseDirectly  ClauseKind = "directly at"
	ClauseThrough   ClauseKind = "through"
	ClauseBy        ClauseKind = "by"
	ClauseFD        ClauseKind = "on fd"
	ClauseSameFD    ClauseKind = "on same fd"
	ClausePath      ClauseKind = "on"
	ClauseTo        ClauseKind = "to"
	ClauseWith      ClauseKind = "with"
	ClauseReturning ClauseKind = "returning"
	ClauseFailing   ClauseKind = "failing"
	ClauseTaking    ClauseKind = "taking"
	ClauseBlocked   ClauseKind = "blocked"
	ClauseWithin    ClauseKind = "within"
	ClauseAfter     ClauseKind = "after"
	ClauseBefore    ClauseKind = "before"
	ClauseBetween   ClauseKind = "between"
	ClauseHeld      ClauseKind = "held by"
	ClauseMatching  ClauseKind = "matching"
	ClauseWhere     ClauseKind = "where"
)

// Clause is one circumstance of an event.
type Clause struct {
	Kind  ClauseKind
	Frame *FramePattern // at, in, under, directly at
	// Value is the symbol of through, the thread of by, the descriptor of on
	// fd, the path of on, the address of to, the errno of failing ("" for
	// any), the result of returning; who holds it, the text of matching, the
	// condition of where.
	Value Value
	Args  []ArgPattern // with
	// Cmp and Duration are of taking and blocked, Cmp "" where blocked has
	// none; Cmp is also of returning.
	Cmp      string
	Duration time.Duration
	AtEnd    bool   // blocked
	N        uint64 // within
	Unit     Unit
	Refs     []Ref // one; two of between
	Place    Place
}

// word is where the clause's first words stand.
func (c *Clause) word() Place {
	p := c.Place
	p.Len = min(p.Len, len(c.Kind))
	return p
}

// Unit is what a distance is measured in.
type Unit string

// The units of within.
const (
	UnitInstructions        Unit = "instructions"
	UnitThreadInstructions  Unit = "thread instructions"
	UnitProcessInstructions Unit = "process instructions"
	UnitMicroseconds        Unit = "us"
	UnitMilliseconds        Unit = "ms"
	UnitSeconds             Unit = "s"
	UnitSyscalls            Unit = "syscalls"
	UnitEvents              Unit = "events"
)

// duration is the length of one, 0 for a unit that is no time.
func (u Unit) duration() time.Duration {
	switch u {
	case UnitMicroseconds:
		return time.Microsecond
	case UnitMilliseconds:
		return time.Millisecond
	case UnitSeconds:
		return time.Second
	}
	return 0
}

// Value is a word or number of a sentence, or a field of another
// expectation's event.
type Value struct {
	Text    string
	Quoted  bool
	Capture *Capture
	Place   Place
}

// Capture is $ID.FIELD.
type Capture struct {
	ID, Field string
	target    *Expectation
}

// ArgPattern is one ARG=VALUE.
type ArgPattern struct {
	Name  string
	Value Value
}

// Ref names a point of the recording.
type Ref struct {
	// Text is the reference as it was written: an id, an event, start, end.
	Text string
	// Event is set where the text is an event that can stand for itself.
	Event      *EventPattern
	Start, End bool
	target     *Expectation // set where it is an id
	Place      Place
}
