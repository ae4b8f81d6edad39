package assert

import (
	"net"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"pyrr/internal/stack"
)

// timeline is a recording's events, ready to be searched. Events of one
// process keep their order; those of several are merged by the clock.
type timeline struct {
	info   Info
	events []Event
	order  []int // indexes into events, in order
	rank   []int // place of each event in order
	inProc []int // place of each event among those of its process
	// procEvents counts the events of each process.
	procEvents map[int]int
	syscalls   []int // system calls before each event, in order
	kinds      map[string][]int
	names      map[string][]int // system calls by name
	endInstr   map[int]uint64   // of each process
	endThread  map[threadKey]uint64
	named      bool // some thread has a name
	passed     bool // stacks were asked for, so that names are known if ever
	// stacks and noStack are filled in as they are asked for.
	stacks  map[int]Stacks
	noStack map[int]bool
	// noExecution says why the events of an execution are not there, noState why
	// it is not known how things stood at the end.
	noExecution, noState string
}

type threadKey struct{ proc, thread int }

func newTimeline(info Info, given []Event) *timeline {
	t := &timeline{
		info: info, events: slices.Clone(given), procEvents: map[int]int{},
		kinds: map[string][]int{}, names: map[string][]int{}, endInstr: map[int]uint64{},
		endThread: map[threadKey]uint64{}, stacks: map[int]Stacks{}, noStack: map[int]bool{},
	}
	n := len(t.events)
	t.order, t.rank, t.inProc, t.syscalls = make([]int, n), make([]int, n), make([]int, n), make([]int, n)
	// The clock may stand still or be set back; within a process the order
	// of the events decides.
	when := make([]time.Duration, n)
	latest := map[int]time.Duration{}
	for i := range t.events {
		e := &t.events[i]
		latest[e.Proc] = max(latest[e.Proc], e.Start)
		when[i] = latest[e.Proc]
		t.order[i] = i
		t.inProc[i] = t.procEvents[e.Proc]
		if !stands(e.Kind) { // which is not an event of the process
			t.procEvents[e.Proc]++
		}
		t.endInstr[e.Proc] = max(t.endInstr[e.Proc], e.Pos.Instr)
		key := threadKey{e.Proc, e.Thread}
		t.endThread[key] = max(t.endThread[key], e.ThreadInstr)
		t.named = t.named || e.ThreadName != ""
	}
	sort.SliceStable(t.order, func(a, b int) bool { return when[t.order[a]] < when[t.order[b]] })
	calls := 0
	for r, i := range t.order {
		e := &t.events[i]
		t.rank[i] = r
		t.syscalls[i] = calls
		t.kinds[e.Kind] = append(t.kinds[e.Kind], i)
		if e.Kind == KindSyscall {
			calls++
			t.names[e.Name] = append(t.names[e.Name], i)
		}
	}
	t.descriptors()
	return t
}

// fdKey is a descriptor of a process.
type fdKey struct{ proc, fd int }

// descriptors notes for each call on a descriptor what the calls before it
// say about that: the path that it was opened with, the address that it was
// connected to.
func (t *timeline) descriptors() {
	type about struct{ path, addr string }
	known := map[fdKey]about{}
	for _, i := range t.order {
		e := &t.events[i]
		if e.Kind != KindSyscall {
			continue
		}
		key := fdKey{e.Proc, e.FD}
		failed := e.Errno != "" && e.Errno != "EINPROGRESS" && e.Errno != "EINTR"
		switch e.Name {
		case "connect":
			if !failed && e.FD >= 0 {
				known[key] = about{addr: e.Addr}
			}
			continue
		case "open", "openat", "openat2", "creat":
			if !failed && !e.Unfinished {
				known[fdKey{e.Proc, int(e.Ret)}] = about{path: e.Path}
			}
			continue
		case "accept", "accept4":
			if !failed && !e.Unfinished {
				known[fdKey{e.Proc, int(e.Ret)}] = about{addr: e.Addr}
			}
			continue
		case "dup", "dup2", "dup3":
			if !failed && !e.Unfinished {
				known[fdKey{e.Proc, int(e.Ret)}] = known[key]
			}
			continue
		}
		if e.FD >= 0 {
			a := known[key]
			if e.Addr == "" {
				e.Addr = a.addr
			}
			if e.Path == "" {
				e.Path = a.path
			}
			if e.Name == "close" {
				delete(known, key)
			}
		}
	}
}

// candidates lists the events that a pattern selects, in order.
func (t *timeline) candidates(p *EventPattern) []int {
	if p.executed() {
		return slices.DeleteFunc(slices.Clone(t.kinds[p.Kind]), func(i int) bool { return !p.Executed(&t.events[i], t.python(t.events[i].Proc)) })
	}
	if p.stands() {
		return slices.DeleteFunc(slices.Clone(t.kinds[p.Kind]), func(i int) bool { return !p.stood(&t.events[i]) })
	}
	if p.Kind != KindSyscall {
		all := t.kinds[p.Kind]
		if p.Names == nil {
			return all
		}
		return slices.DeleteFunc(slices.Clone(all), func(i int) bool { return !slices.Contains(p.Names, t.events[i].Name) })
	}
	if len(p.Names) == 1 {
		return t.names[p.Names[0]]
	}
	var all []int
	for _, name := range p.Names {
		all = append(all, t.names[name]...)
	}
	slices.SortFunc(all, func(a, b int) int { return t.rank[a] - t.rank[b] })
	return slices.DeleteFunc(all, func(i int) bool { return !isCall(p.Text, &t.events[i]) })
}

// Executed reports whether the pattern selects an event that an execution
// shows; python is the version of the interpreter.
func (p *EventPattern) Executed(e *Event, python string) bool {
	switch {
	case p.Kind != e.Kind:
		return false
	case p.Kind == KindEnter:
		return symbolMatches(p.Operand, e.Name)
	case p.Kind == KindRaise:
		return e.Name == p.Operand || strings.HasSuffix(e.Name, "."+p.Operand) || strings.HasSuffix(p.Operand, "."+e.Name)
	}
	return e.Frame != nil && p.Frame.frame(e.Frame, qualifiedNames(python)) != matchNo
}

// isCall tells apart what clone does under several names of the C library
// (clone(2): CLONE_THREAD 0x10000).
func isCall(word string, e *Event) bool {
	if e.Name != "clone" || len(e.Args) == 0 {
		return true
	}
	thread := e.Args[0].Num&0x10000 != 0
	switch word {
	case "fork", "vfork":
		return !thread
	case "pthread_create":
		return thread
	}
	return true
}

// main reports whether the event's thread is its process's main thread.
func (e *Event) main() bool { return e.TID == e.PID || e.PID == 0 && e.Thread == 1 }

// elapsed is how long the call took, or has taken by the recording's end.
func (e *Event) elapsed() time.Duration { return max(0, e.End-e.Start) }

// python is the interpreter's version in a process.
func (t *timeline) python(proc int) string { return t.info.Pythons[proc] }

// stackOf returns the Python stack at an event.
func (t *timeline) stackOf(i int) (stack.Stack, bool) {
	s, ok := t.stacks[i]
	return s.Python, ok
}

// fetch asks the source for the stacks that are not known yet.
func (t *timeline) fetch(src Source, want []int, c bool) error {
	var missing []int
	for _, i := range want {
		if _, ok := t.stacks[i]; !ok && !t.noStack[i] {
			missing = append(missing, i)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	got, err := src.Stacks(missing, c)
	if err != nil {
		return err
	}
	// Names of threads may have come with the stacks.
	events, err := src.Events()
	if err != nil {
		return err
	}
	for i := range t.events[:min(len(t.events), len(events))] {
		t.events[i].ThreadName = events[i].ThreadName
		t.named = t.named || events[i].ThreadName != ""
	}
	t.passed = true
	for _, i := range missing {
		if s, ok := got[i]; ok {
			t.stacks[i] = s
		} else {
			t.noStack[i] = true
		}
	}
	return nil
}

// addressMatches holds an event's address against ADDRESS:PORT with stars.
func addressMatches(pattern, addr string) bool {
	if addr == "" {
		return false
	}
	host, port, ok := cutPort(pattern)
	h, p, err := net.SplitHostPort(addr)
	if !ok || err != nil {
		return stack.Glob(pattern, addr)
	}
	if a, b := net.ParseIP(host), net.ParseIP(h); a != nil && b != nil {
		return a.Equal(b) && stack.Glob(port, p)
	}
	return stack.Glob(host, h) && stack.Glob(port, p)
}

// field gives the value of $ID.FIELD.
func (e *Event) field(name string) (string, bool) {
	switch name {
	case "fd":
		if e.FD >= 0 {
			return strconv.Itoa(e.FD), true
		}
		if e.Errno == "" && !e.Unfinished && e.Ret >= 0 {
			return strconv.FormatInt(e.Ret, 10), true // of open, socket
		}
		return "", false
	case "ret":
		return strconv.FormatInt(e.Ret, 10), !e.Unfinished
	case "pid":
		return strconv.Itoa(e.PID), true
	case "tid":
		return strconv.Itoa(e.TID), true
	case "thread":
		return strconv.Itoa(e.Thread), true
	case "path":
		return e.Path, e.Path != ""
	case "addr":
		return e.Addr, e.Addr != ""
	}
	for _, a := range e.Args {
		if a.Name == name {
			return a.Text, true
		}
	}
	return "", false
}
