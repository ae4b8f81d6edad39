// Package draft writes specs about recordings: what happened there, in sentences that
// tell it from another hang or failure.
//
// It writes no file and asks the caller to check what it wrote. Begin with New.
package draft

import (
	"fmt"
	"math"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"pyrr/assert"
	"pyrr/internal/hang"
	"pyrr/internal/hint"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/linux"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/stack"
)

// Draft is a spec in the making: sentences about one event, and what it
// needs.
type Draft struct {
	name      string
	recording string // as it stands in the text
	python    string
	expect    []string
	// spare are the sentences of expect that may be left out where they don't hold.
	spare  map[string]bool
	id     string // of the event that the golden is about
	golden bool
	test   string // the only one of the recording
	// reason is what pyrr explain says, for the reader.
	reason []string
}

// drafter looks at a recording for what to say.
type drafter struct {
	src    assert.Source
	info   assert.Info
	events []assert.Event
	stacks map[int]assert.Stacks
	paths  stack.Paths
	why    *reason.Reason // as pyrr explain says it
}

// New drafts a spec about a moment: hang, exit, the number of an event,
// or "" for whatever there is. nil means that there is nothing.
func New(src assert.Source, at string, why *reason.Reason) (*Draft, error) {
	events, err := src.Events()
	if err != nil {
		return nil, err
	}
	d := &drafter{src: src, info: src.Info(), events: events, why: why}
	d.paths = stack.Paths{Root: d.info.Root}
	out, err := d.drafted(at)
	if tests := d.info.Tests; out != nil && len(tests) == 1 {
		out.test = tests[0]
	}
	if out != nil && (at == "" || at == "hang") && why.Says() {
		out.reason = []string{why.Why.Sentence}
		if since := reason.SinceWhen(why.Why); since != "" {
			out.reason = append(out.reason, since)
		}
	}
	return out, err
}

func (d *drafter) drafted(at string) (*Draft, error) {
	events := d.events
	switch at {
	case "hang":
		return d.hang()
	case "exit":
		return d.exit()
	case "":
		if out := d.raised(); out != nil {
			return out, nil
		}
		out, err := d.hang()
		if out == nil && err == nil {
			out, err = d.exit()
		}
		return out, err
	}
	proc, number, ok := strings.Cut(at, ":")
	if !ok {
		proc, number = "1", at
	}
	p, err1 := strconv.Atoi(proc)
	n, err2 := strconv.ParseUint(strings.ReplaceAll(number, ",", ""), 10, 64)
	if err1 != nil || err2 != nil {
		return nil, hint.Usagef("new: --at is hang, exit or the number of an event, not %q", at)
	}
	for i := range events {
		if e := &events[i]; e.Proc == p && e.Pos.Event == n && e.Kind == assert.KindSyscall {
			return d.about(i)
		}
	}
	return nil, hint.With(hint.Usagef("new: there is no system call with the number %s", at), "pyrr events RECORDING")
}

// hang drafts a spec about a call that has not returned at the end.
func (d *drafter) hang() (*Draft, error) {
	ended := map[int]bool{} // processes that ended by themselves
	for i := range d.events {
		if e := &d.events[i]; e.Kind == assert.KindExit || e.Kind == assert.KindExec {
			ended[e.Proc] = true
		}
	}
	state, stuck := d.stuck()
	if stuck != nil {
		return stuck, nil
	}
	best, score := -1, -1
	first, known := d.why.Subject()
	for i := range d.events {
		e := &d.events[i]
		if e.Kind != assert.KindSyscall || !e.Unfinished || ended[e.Proc] || slices.Contains(neverReturn, e.Name) {
			continue
		}
		nr, ok := linux.Number(e.Name)
		if !ok {
			continue
		}
		// Servers of the standard library wait for work; that a thread waits
		// for another says least.
		s := 2 * reason.Suspicion(&reason.Waiting{Call: e.Name, Nr: int32(nr)})
		st := d.stackOf(i)
		if d.where(st) != "" {
			s += 8
		}
		if !joins(st) {
			s++
		}
		if known && d.why.Why.Degree != hang.None && e.Proc == first.Proc.ID && e.TID == int(first.TID) {
			s += 100 // the one that explain names first
		}
		if s > score {
			best, score = i, s
		}
	}
	if best < 0 {
		return d.spin()
	}
	out, err := d.about(best)
	if err != nil || out == nil {
		return nil, err
	}
	out.addSpare(d.standing(state, &d.events[best])...)
	for i := range d.events {
		if d.events[i].Kind == assert.KindTimeout {
			out.expect = append(out.expect, "timeout after "+out.id)
			break
		}
	}
	return out, nil
}

// spin drafts a spec about a thread that computes when the time-out comes.
func (d *drafter) spin() (*Draft, error) {
	for i := range d.events {
		e := &d.events[i]
		if e.Kind != assert.KindTimeout {
			continue
		}
		s := d.stackOf(i)
		for k := range s.Frames {
			f := &s.Frames[k]
			if file, origin := d.fileName(f.File); origin != stack.Stdlib && !strings.ContainsAny(file, " <\"") && !stack.Harness(file) {
				// The line changes from run to run.
				return &Draft{id: "hang", name: f.Func + " does not end", python: d.python(e.Proc),
					expect: []string{fmt.Sprintf("timeout in %s::%s as hang", file, f.Func)}}, nil
			}
		}
	}
	return nil, nil
}

// neverReturn are the calls after which nothing is left to return to.
var neverReturn = []string{"exit", "exit_group", "execve", "execveat"}

// joins reports whether a stack waits for another thread to end.
func joins(s stack.Stack) bool {
	return slices.ContainsFunc(s.Frames, func(f stack.Frame) bool {
		return strings.HasSuffix(f.Func, "join") && strings.HasSuffix(f.File, "/threading.py")
	})
}

func (d *drafter) stackOf(i int) stack.Stack {
	if s, ok := d.stacks[i]; ok {
		return s.Python
	}
	if d.stacks == nil {
		d.stacks = map[int]assert.Stacks{}
	}
	found, err := d.src.Stacks([]int{i}, false)
	if err != nil {
		return stack.Stack{}
	}
	d.stacks[i] = found[i]
	return found[i].Python
}

// about drafts a spec about one system call.
func (d *drafter) about(i int) (*Draft, error) {
	e := &d.events[i]
	out := &Draft{id: "hang", python: d.python(e.Proc)}
	if !e.Unfinished {
		out.id = "moment"
	}
	word := libcName(e.Name)
	s := d.stackOf(i)
	sentence := word
	if where := d.where(s); where != "" {
		sentence += " " + where
	}
	out.golden = len(s.Frames) > 1 || len(s.Frames) == 1 && s.Err() == ""
	if conn, text := d.connection(i); conn >= 0 {
		out.expect = append(out.expect, text+" as conn")
		sentence += " on same fd"
		if c := &d.events[conn]; c.Thread == e.Thread && e.ThreadInstr >= c.ThreadInstr && !d.info.NoClock {
			sentence += fmt.Sprintf(" within %d instructions of conn", roomy(e.ThreadInstr-c.ThreadInstr))
		} else {
			sentence += " after conn"
		}
	}
	if by := d.thread(e); by != "" {
		sentence += " by " + by
	}
	switch {
	case e.Unfinished:
		sentence += " blocked at end"
		if took := e.End - e.Start; took > 20*time.Millisecond {
			sentence += " for > " + halfOf(took)
		}
	case e.Errno != "":
		sentence += " failing with " + e.Errno
	}
	out.expect = append(out.expect, sentence+" as "+out.id)
	out.name = word + " hangs"
	if !e.Unfinished {
		out.name = "what happened at " + word
	}
	if f, ok := reason.OwnFrame(s); ok {
		out.name += " in " + f.Func
	}
	return out, nil
}

// fileName is how a sentence names a file: of one in a temporary folder only the
// last part is the same in another run.
func (d *drafter) fileName(file string) (string, stack.Origin) {
	short, origin := d.paths.Short(file)
	if stack.Temporary(short) {
		short = path.Base(short)
	}
	return short, origin
}

// where names the frame nearest to the call that is not of the standard
// library.
func (d *drafter) where(s stack.Stack) string {
	for k := range s.Frames {
		f := &s.Frames[k]
		if f.Kind != stack.Python || f.Line == 0 {
			continue
		}
		file, origin := d.fileName(f.File)
		if origin == stack.Stdlib || strings.HasPrefix(file, "<") || strings.ContainsAny(file, " \"") || stack.Harness(file) {
			continue
		}
		return fmt.Sprintf("at %s:%d", file, f.Line)
	}
	return ""
}

// connection finds the event that made the descriptor of a call, and says it.
func (d *drafter) connection(i int) (int, string) {
	e := &d.events[i]
	if e.FD < 0 {
		return -1, ""
	}
	for k := i - 1; k >= 0; k-- {
		c := &d.events[k]
		if c.Proc != e.Proc || c.Kind != assert.KindSyscall {
			continue
		}
		if c.Name == "close" && c.FD == e.FD {
			return -1, ""
		}
		if c.Name != "connect" || c.FD != e.FD {
			continue
		}
		host, _, err := net.SplitHostPort(c.Addr)
		if err != nil {
			return -1, ""
		}
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		text := "connect to " + host + ":*"
		if where := d.where(d.stackOf(k)); where != "" {
			text += " " + where
		}
		// The first that the sentence fits has to be this one.
		for n := range k {
			o := &d.events[n]
			if o.Name == "connect" && o.Kind == assert.KindSyscall && strings.HasPrefix(o.Addr, strings.Trim(host, "[]")) && d.where(d.stackOf(n)) == d.where(d.stackOf(k)) {
				return -1, ""
			}
		}
		return k, text
	}
	return -1, ""
}

// madeUp matches the names that threads have when nobody names them.
var madeUp = lazyregexp.New(`^Thread-\d+|^ThreadPoolExecutor-|^Dummy-|\d{3}`)

func (d *drafter) thread(e *assert.Event) string {
	switch {
	case e.TID == e.PID:
		return "main"
	case e.ThreadName == "" || madeUp().MatchString(e.ThreadName):
		return ""
	case strings.ContainsAny(e.ThreadName, " \"\\*$") || e.ThreadName == "main":
		return strconv.Quote(strings.ReplaceAll(e.ThreadName, "*", `\*`))
	}
	return e.ThreadName
}

// exit drafts a spec about a program that failed, nil for one that did not.
func (d *drafter) exit() (*Draft, error) {
	var last, exit *assert.Event
	lastAt := -1
	for i := range d.events {
		e := &d.events[i]
		switch {
		case e.Kind == assert.KindExit && e.Proc == 1:
			exit = e
		case e.Kind == assert.KindSyscall && e.Proc == 1 && e.Errno != "" && e.FD >= 0 && (e.Name == "connect" || e.Name == "sendto" || e.Name == "recvfrom" || e.Name == "bind"):
			last, lastAt = e, i
		}
	}
	if exit == nil || exit.Ret == 0 {
		return nil, nil
	}
	out := &Draft{id: "failed", name: fmt.Sprintf("it ends with status %d", exit.Ret), python: d.python(1)}
	if last != nil {
		about, err := d.about(lastAt)
		if err != nil {
			return nil, err
		}
		about.name, about.python = out.name, out.python
		out = about
	}
	out.expect = append(out.expect, fmt.Sprintf("exit returning %d", exit.Ret))
	return out, nil
}

func (d *drafter) python(proc int) string {
	if v := strings.Split(d.info.Pythons[proc], "."); len(v) >= 2 {
		return v[0] + "." + v[1]
	}
	return ""
}

// libcName is the name by which people know a system call.
func libcName(kernel string) string {
	switch kernel {
	case "recvfrom":
		return "recv"
	case "sendto":
		return "send"
	}
	return kernel
}

// roomy rounds a distance up, to at least twice: 1, 2 or 5 times a power of
// ten.
func roomy(n uint64) uint64 {
	want := float64(max(n, 50)) * 2
	p := math.Pow(10, math.Floor(math.Log10(want)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*p >= want {
			return uint64(m * p)
		}
	}
	return uint64(want)
}

// halfOf is about half of a duration, round.
func halfOf(d time.Duration) string {
	switch h := d / 2; {
	case h >= time.Second:
		return fmt.Sprintf("%ds", h/time.Second)
	case h >= 100*time.Millisecond:
		return fmt.Sprintf("%dms", h/(100*time.Millisecond)*100)
	default:
		return fmt.Sprintf("%dms", max(1, h/(10*time.Millisecond)*10))
	}
}

// text is the spec.
func (d *Draft) text(recording, golden string) string {
	d.recording = strconv.Quote(globQuote(recording))
	var b strings.Builder
	for _, line := range d.reason {
		fmt.Fprintf(&b, "# %s\n", printable.Line(line))
	}
	fmt.Fprintf(&b, "version: 1\nname: %s\nrecording: %s\n", strconv.Quote(d.name), d.recording)
	if d.python != "" && golden != "" {
		fmt.Fprintf(&b, "requires: { python: \"%s\" }\n", d.python)
	}
	if d.test != "" {
		fmt.Fprintf(&b, "test: %s\n", strconv.Quote(d.test))
	}
	b.WriteString("\nexpect:\n")
	for _, e := range d.expect {
		fmt.Fprintf(&b, "  - %s\n", yamlText(e))
	}
	if golden != "" {
		fmt.Fprintf(&b, "\ngolden:\n  - at: %s\n    file: %s\n", d.id, yamlText(golden))
	}
	return b.String()
}

// yamlText writes a text as a plain YAML scalar where it can be one.
func yamlText(s string) string {
	if strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.HasSuffix(s, ":") || strings.ContainsAny(s[:1], "!&*-?|>@`\"'%[]{},#") {
		return strconv.Quote(s)
	}
	return s
}
