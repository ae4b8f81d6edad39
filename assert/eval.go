package assert

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"pyrr/internal/stack"
)

// truth is the value of a clause for an event.
type truth int8

const (
	no      truth = iota
	open          // can't be judged
	pending       // needs a stack that has not been asked for yet
	yes
)

// answer is a truth with what there is to say about it.
type answer struct {
	truth truth
	say   string
	// stack is set where the event's stack is what is needed, name where the
	// name of its thread is, which comes with any stack.
	stack, name bool
	// miss is by how much it is not so: from 0 (just) to 1 (by far, or without a
	// measure) for amounts, and the constants below.
	miss float64
}

// How far from the wanted event one is that
const (
	missResult = 0.8 // has no result yet
	missFrame  = 0.9 // was made in the same file: up to half more, by the distance
	missEnd    = 1.5 // was not what hung: up to half more, the shorter it took
)

func holds(ok bool, format string, args ...any) answer {
	if ok {
		return answer{truth: yes}
	}
	return answer{truth: no, say: fmt.Sprintf(format, args...), miss: 1}
}

// over says by how much the greater of two amounts exceeds the smaller one.
func over[T uint64 | time.Duration](a, b T) float64 {
	if a == b {
		return 0
	}
	return 1 - float64(min(a, b))/float64(max(a, b))
}

// by gives an answer of no the measure of its miss.
func (a answer) by(miss float64) answer {
	if a.truth == no {
		a.miss = miss
	}
	return a
}

func unclear(format string, args ...any) answer {
	return answer{truth: open, say: fmt.Sprintf(format, args...)}
}

// holdsOf holds what is seen of an event against the value that a clause names.
func (j *judge) holdsOf(c *Clause, fits func(v string) bool, seen string) answer {
	v, a := j.value(&c.Value)
	if a.truth != yes {
		return a
	}
	return holds(fits(v), "%s", seen)
}

// clause holds one event against one clause.
func (j *judge) clause(c *Clause, e *Expectation, i int) answer {
	ev := &j.events[i]
	switch c.Kind {
	case ClauseAt, ClauseIn, ClauseUnder, ClauseDirectly:
		return j.onStack(c, i)
	case ClauseThrough:
		return j.throughC(c, i)
	case ClauseBy:
		return j.byThread(c, i)
	case ClauseFD:
		return j.holdsOf(c, func(v string) bool { return ev.FD >= 0 && v == strconv.Itoa(ev.FD) }, "its descriptor is "+fdText(ev))
	case ClauseSameFD:
		return j.sameFD(e, i)
	case ClausePath:
		return j.holdsOf(c, func(v string) bool { return pathMatches(v, ev.Path) }, orNone("its path is ", ev.Path, "it has no path"))
	case ClauseTo:
		return j.holdsOf(c, func(v string) bool { return addressMatches(v, ev.Addr) }, orNone("its address is ", ev.Addr, "it has no address"))
	case ClauseWith:
		return j.with(c, ev)
	case ClauseReturning:
		if ev.Kind == KindReturn {
			return j.returned(c, ev)
		}
		return j.returning(c, ev)
	case ClauseHeld:
		return j.heldBy(c, ev)
	case ClauseMatching:
		return j.matching(c, ev)
	case ClauseWhere:
		return where(c, ev)
	case ClauseFailing:
		return j.failing(c, ev)
	case ClauseTaking:
		return j.taking(ev, c.Cmp, c.Duration, "took")
	case ClauseBlocked:
		return j.blocked(c, ev)
	case ClauseWithin:
		return j.within(c, i)
	case ClauseAfter, ClauseBefore, ClauseBetween:
		return j.ordered(c, i)
	}
	return unclear("the clause %q can't be judged yet", c.Kind)
}

func fdText(e *Event) string {
	if e.FD < 0 {
		return "none"
	}
	return strconv.Itoa(e.FD)
}

// value resolves a capture.
func (j *judge) value(v *Value) (string, answer) {
	if v.Capture == nil {
		return v.Text, answer{truth: yes}
	}
	b := j.bound[v.Capture.target]
	if b.truth != yes {
		return "", b.answer()
	}
	s, ok := j.events[b.event].field(v.Capture.Field)
	if !ok {
		return "", unclear("%s has no %s", v.Capture.ID, v.Capture.Field)
	}
	return s, answer{truth: yes}
}

func (j *judge) onStack(c *Clause, i int) answer {
	s, ok := j.stackOf(i)
	if !ok {
		if j.noStack[i] {
			return unclear("the Python stack could not be read there")
		}
		return answer{truth: pending, stack: true}
	}
	qualified := qualifiedNames(j.python(j.events[i].Proc))
	if c.waitedIn(&j.events[i]) {
		return answer{truth: yes}
	}
	frames := s.Frames
	if c.Kind == ClauseDirectly {
		n := slices.IndexFunc(frames, func(f stack.Frame) bool { return f.Kind == stack.Python })
		frames = frames[max(n, 0):min(max(n, 0)+1, len(frames))]
	}
	best := matchNo
	for k := range frames {
		best = max(best, c.Frame.frame(&frames[k], qualified))
		if best == matchYes {
			return answer{truth: yes}
		}
	}
	switch {
	case best == matchOpen && !qualified && strings.Contains(c.Frame.Func, "."):
		return unclear("CPython %s keeps no qualified names, so %s can't be told from other functions of that name",
			j.python(j.events[i].Proc), c.Frame.Func)
	case best == matchOpen:
		return unclear("a frame of %s could not be read whole", c.Frame.Text)
	case j.stacks[i].NoPython && j.info.Uncounted[j.events[i].Proc]:
		return unclear("the interpreter was not counted, so its Python stacks are not known (pyrr doctor says why)")
	case j.stacks[i].NoPython:
		return holds(false, "it runs no Python there").by(2)
	case s.Err() != "" && c.Kind != ClauseDirectly || len(s.Frames) == 0:
		return unclear("the Python stack could not be read whole: %s", orNone("", s.Err(), "it is empty"))
	}
	if e := &j.events[i]; stands(e.Kind) && c.Kind != ClauseAt && e.Waits != "" {
		return holds(false, "it waits in %s", e.Waits).by(2)
	}
	return j.notOnStack(c.Frame, frames)
}

// notOnStack says which frame comes nearest to the wanted one.
func (j *judge) notOnStack(p *FramePattern, frames []stack.Frame) answer {
	var near *stack.Frame
	distance := 0
	for k := range frames {
		f := &frames[k]
		if f.Kind != stack.Python || p.File == "" || !fileMatches(p.File, f.File) {
			continue
		}
		d := max(p.Line-f.Line, f.Line-p.Line)
		if near == nil || p.Line > 0 && d < distance {
			near, distance = f, d
		}
	}
	if near != nil {
		file, _ := j.paths.Short(near.File)
		return holds(false, "its stack has %s:%d %s", file, near.Line, near.Func).by(missFrame + missFrame/2*(1-1/float64(1+distance)))
	}
	return holds(false, "that is not on its stack").by(2)
}

func (j *judge) throughC(c *Clause, i int) answer {
	s, ok := j.stacks[i]
	switch {
	case !ok && !j.noStack[i]:
		return answer{truth: pending, stack: true}
	case !ok:
		return unclear("the C stack could not be read there")
	case s.Full == nil:
		return unclear("needs C stacks, which were not read")
	}
	for k := range s.Full.Frames {
		if f := &s.Full.Frames[k]; f.Kind == stack.C && symbolMatches(c.Value.Text, f.Func) {
			return answer{truth: yes}
		}
	}
	if err := s.Full.Err(); err != "" {
		return unclear("the C stack could not be read whole: %s", err)
	}
	return holds(false, "it is not on its C stack")
}

// symbolMatches also takes a C library's public name for its internal ones:
// connect for __libc_connect, recv for __recv.
func symbolMatches(want, have string) bool {
	have, _, _ = strings.Cut(have, "@")
	if have == want {
		return true
	}
	rest, ok := strings.CutPrefix(have, "__")
	return ok && (rest == want || strings.TrimPrefix(rest, "libc_") == want)
}

func (j *judge) byThread(c *Clause, i int) answer {
	e := &j.events[i]
	v, a := j.value(&c.Value)
	if a.truth != yes {
		return a
	}
	made := "it was made by thread " + e.threadText()
	if v == "main" && !c.Value.Quoted {
		return holds(e.main() || e.ThreadName == "main", "%s", made)
	}
	if n, err := strconv.Atoi(v); err == nil && !c.Value.Quoted {
		return holds(e.Thread == n, "%s", made)
	}
	if !j.named {
		if !j.passed {
			return answer{truth: pending, name: true}
		}
		return unclear("the recording holds no names of threads")
	}
	return holds(e.ThreadName != "" && stack.Glob(v, e.ThreadName), "%s", made)
}

func (e *Event) threadText() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.Thread, e.ThreadName))
}

func (j *judge) sameFD(e *Expectation, i int) answer {
	r := e.anchor()
	ref, a := j.resolve(r, i, false)
	if a.truth != yes {
		return a
	}
	fd, ok := j.events[ref.event].field("fd")
	if !ok {
		return unclear("%s has no descriptor", r.Text)
	}
	if j.events[ref.event].Proc != j.events[i].Proc {
		return holds(false, "it was made by another process than %s", r.Text)
	}
	return holds(j.events[i].FD >= 0 && fdText(&j.events[i]) == fd, "its descriptor is %s, that of %s is %s", fdText(&j.events[i]), r.Text, fd)
}

// pathMatches takes a path with stars, or its last components.
func pathMatches(pattern, p string) bool {
	if p == "" {
		return false
	}
	return stack.Glob(pattern, p) || fileMatches(pattern, path.Clean(p))
}

func (j *judge) with(c *Clause, e *Event) answer {
	for k := range c.Args {
		want := &c.Args[k]
		v, a := j.value(&want.Value)
		if a.truth != yes {
			return a
		}
		n := slices.IndexFunc(e.Args, func(a Arg) bool { return a.Name == want.Name })
		if n < 0 {
			return holds(false, "%s has no argument %s", e.Name, want.Name)
		}
		if !argMatches(v, want.Value.Quoted, &e.Args[n]) {
			return holds(false, "its %s is %s", want.Name, e.Args[n].Text)
		}
	}
	return answer{truth: yes}
}

// argMatches compares as numbers where the value is one, else as text.
func argMatches(v string, quoted bool, a *Arg) bool {
	if !quoted {
		if n, err := strconv.ParseInt(v, 0, 64); err == nil {
			// An int may stand in the lower half of a register.
			return uint64(n) == a.Num || n < 0 && n >= -1<<31 && uint32(n) == uint32(a.Num)
		}
		if n, err := strconv.ParseUint(v, 0, 64); err == nil {
			return n == a.Num
		}
	}
	return stack.Glob(v, a.Text) || stack.Glob(v, strings.Trim(a.Text, `"`))
}

// compare applies <, <=, > or >=.
func compare[T int64 | uint64 | time.Duration](a T, cmp string, b T) bool {
	switch cmp {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case ">=":
		return a >= b
	}
	return a == b
}

func (j *judge) returning(c *Clause, e *Event) answer {
	v, a := j.value(&c.Value)
	if a.truth != yes {
		return a
	}
	if e.Unfinished {
		return j.unreturned()
	}
	n, err := strconv.ParseInt(v, 0, 64)
	if err != nil {
		return unclear("%q is not a number", v)
	}
	// What the C library returns as -1 is an error to the kernel.
	ret := e.Ret
	if e.Errno != "" {
		ret = -1
	}
	if n < -1 {
		ret = e.Ret
	}
	return holds(compare(ret, c.Cmp, n), "it returned %s", e.result())
}

// unreturned is the answer about the result of a call that has none.
func (j *judge) unreturned() answer {
	if j.info.Truncated {
		return unclear("the recording was cut before it returned")
	}
	return holds(false, "it had not returned at the end").by(missResult)
}

func (e *Event) result() string {
	if e.Errno != "" {
		return e.Errno
	}
	return strconv.FormatInt(e.Ret, 10)
}

func (j *judge) failing(c *Clause, e *Event) answer {
	if e.Unfinished {
		return j.unreturned()
	}
	if c.Value.Text == "" {
		return holds(e.Errno != "", "it returned %s", e.result())
	}
	return holds(e.Errno == c.Value.Text, "it returned %s", e.result())
}

// taking holds the length of a call against a duration. Of a call that never
// returned only the least length is known.
func (j *judge) taking(e *Event, cmp string, d time.Duration, verb string) answer {
	took := e.elapsed()
	if !e.Unfinished {
		return holds(compare(took, cmp, d), "it %s %s", verb, durationText(took)).by(over(took, d))
	}
	switch cmp {
	case ">", ">=":
		if compare(took, cmp, d) {
			return answer{truth: yes}
		}
		if j.info.Truncated {
			return unclear("the recording was cut after %s of it", durationText(took))
		}
		return holds(false, "it had lasted %s at the end", durationText(took)).by(over(took, d))
	default:
		if took > d || cmp == "<" && took == d {
			return holds(false, "it had lasted %s at the end", durationText(took)).by(over(took, d))
		}
		return unclear("it had not returned at the end, after %s", durationText(took))
	}
}

// blockedAtLeast is the wait that counts as one where no duration is given.
const blockedAtLeast = time.Millisecond

func (j *judge) blocked(c *Clause, e *Event) answer {
	if c.AtEnd {
		if !e.Unfinished {
			// One that did not return is nearer, then the one that took longest.
			return holds(false, "it returned after %s", durationText(e.elapsed())).by(missEnd + 0.5/(1+e.elapsed().Seconds()))
		}
		if j.info.Truncated {
			return unclear("the recording was cut: %s", orNone("", j.info.Why, "its end is not the program's"))
		}
	}
	if c.Cmp != "" {
		return j.taking(e, c.Cmp, c.Duration, "was blocked for")
	}
	if c.AtEnd {
		return answer{truth: yes}
	}
	return j.taking(e, ">=", blockedAtLeast, "was blocked for")
}

// durationText writes a time for people: 31s, 2.03s, 512ms, 40µs.
func durationText(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.String()
}
