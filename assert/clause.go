package assert

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/linux"
)

// clauseWords are the words that a clause begins with.
var clauseWords = []string{"at", "in", "under", "directly", "through", "by", "on", "to", "with", "returning", "failing",
	"taking", "blocked", "within", "after", "before", "between", "held", "matching", "where", "as"}

// clause reads one clause.
func (p *parser) clause() Clause {
	from := p.i
	t := p.next("a clause")
	c := Clause{Kind: ClauseKind(t.text)}
	if t.quoted {
		c.Kind = ""
	}
	switch c.Kind {
	case ClauseAt, ClauseIn, ClauseUnder:
		p.frameClause(&c)
	case "directly":
		c.Kind = ClauseDirectly
		if !p.take("at") {
			n := p.next("at")
			p.failAt(n, "directly at FRAME", "at is missing after directly, not %q", n.text)
		}
		c.Frame = p.frame("a place in Python code")
	case ClauseThrough:
		c.Value = p.value("a C function")
		if c.Value.Capture == nil && p.err == nil && !isFunction(c.Value.Text) {
			p.failAt(p.toks[p.i-1], "", "%q is not the name of a C function", c.Value.Text)
		}
	case ClauseBy:
		c.Value = p.value("a thread")
	case ClausePath:
		p.on(&c)
	case ClauseTo:
		c.Value = p.value("an address")
		p.address(&c)
	case ClauseWith:
		p.with(&c)
	case ClauseReturning:
		c.Cmp = p.cmp()
		c.Value = p.value("a value")
	case ClauseFailing:
		p.failing(&c)
	case ClauseTaking:
		if c.Cmp = p.cmp(); c.Cmp == "" {
			n := p.next("<, <=, > or >=")
			p.failAt(n, "taking > 2s", "<, <=, > or >= is missing after taking, not %q", n.text)
		}
		c.Duration = p.duration()
	case ClauseBlocked:
		p.blocked(&c)
	case ClauseWithin:
		p.within(&c)
	case ClauseAfter, ClauseBefore:
		c.Refs = []Ref{p.ref()}
	case "held":
		p.held(&c)
	case ClauseMatching:
		c.Value = p.value("a text")
	case ClauseWhere:
		p.where(&c)
	case ClauseBetween:
		first := p.ref()
		if !p.take("and") {
			n := p.next("and")
			p.failAt(n, "between REF and REF", "and is missing, not %q", n.text)
		}
		c.Refs = []Ref{first, p.ref()}
	default:
		hint := didYouMean(t.text, clauseWords)
		if _, err := strconv.Atoi(t.text); err == nil || t.text == "once" || t.text == "twice" {
			hint = "a count comes first: exactly 2 …, at least 2 …, at most 2 …"
		}
		p.failAt(t, hint, "unknown word %q", t.text)
	}
	c.Place = p.from(from)
	return c
}

func (p *parser) frameClause(c *Clause) {
	c.Frame = p.frame("a place in Python code")
	if c.Frame != nil && c.Kind == ClauseAt && c.Frame.Line == 0 {
		p.failAt(p.toks[p.i-1], "in "+c.Frame.Text, "at needs a line")
	}
}

func (p *parser) on(c *Clause) {
	switch {
	case p.take("same", "fd"):
		c.Kind = ClauseSameFD
	case p.take("fd"):
		c.Kind = ClauseFD
		if c.Value = p.value("a number"); c.Value.Capture == nil && p.err == nil {
			if _, err := strconv.ParseUint(c.Value.Text, 10, 31); err != nil {
				p.failAt(p.toks[p.i-1], "", "%q is not a file descriptor", c.Value.Text)
			}
		}
	default:
		c.Value = p.value("fd, same fd or a path")
	}
}

// address checks ADDRESS:PORT, either of them *, or a path.
func (p *parser) address(c *Clause) {
	if p.err != nil || c.Value.Capture != nil {
		return
	}
	s := c.Value.Text
	if strings.HasPrefix(s, "/") || strings.HasPrefix(s, "@") || s == "*" {
		return
	}
	t := p.toks[p.i-1]
	host, port, ok := cutPort(s)
	if !ok {
		hint := s + ":*"
		if strings.Count(s, ":") > 1 {
			hint = "[ADDRESS]:PORT, like [::1]:80"
		}
		p.failAt(t, hint, "a port is missing in the address %q", s)
		return
	}
	if n, err := strconv.Atoi(port); port != "*" && (err != nil || n < 0 || n > 65535) {
		p.failAt(t, "", "%q is not a port", port)
		return
	}
	if _, err := netip.ParseAddr(host); err != nil && !strings.Contains(host, "*") {
		p.failAt(t, "a recording holds numeric addresses, like 127.0.0.1:8888", "%q is not an address", host)
	}
}

// cutPort splits ADDRESS:PORT; an IPv6 address stands in brackets.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	host, port = s[:i], s[i+1:]
	if inner, found := strings.CutPrefix(host, "["); found {
		if host, found = strings.CutSuffix(inner, "]"); !found {
			return "", "", false
		}
	} else if strings.Contains(host, ":") {
		return "", "", false
	}
	return host, port, true
}

// with reads ARG=VALUE, ARG=VALUE, …
func (p *parser) with(c *Clause) {
	for {
		t := p.next("ARG=VALUE")
		if p.err != nil {
			return
		}
		name, text, ok := strings.Cut(t.text, "=")
		more := !t.quoted && strings.HasSuffix(text, ",") || t.quoted && p.src[t.end-1] == ','
		if more {
			text = strings.TrimSuffix(text, ",")
		}
		if !ok || name == "" || !t.quoted && text == "" {
			p.failAt(t, "with fd=3, flags=0", "%q is not ARG=VALUE", t.text)
			return
		}
		v := p.makeValue(token{text: text, quoted: t.quoted, start: t.start, end: t.end})
		c.Args = append(c.Args, ArgPattern{Name: name, Value: v})
		if !more {
			return
		}
	}
}

func (p *parser) failing(c *Clause) {
	if p.peek(0) != "with" || strings.Contains(p.peek(1), "=") {
		return
	}
	p.i++
	t := p.next("the name of an error")
	if p.err != nil {
		return
	}
	n, ok := linux.ErrnoNumber(t.text)
	if !ok {
		p.failAt(t, didYouMean(strings.ToUpper(t.text), errnoNames()), "unknown error %q", t.text)
		return
	}
	c.Value = Value{Text: linux.Errno(n), Place: p.place(t.start, t.end)}
}

func errnoNames() []string {
	var all []string
	for n := 1; n < 134; n++ {
		all = append(all, linux.Errno(n))
	}
	return all
}

func (p *parser) blocked(c *Clause) {
	c.AtEnd = p.take("at", "end")
	if p.take("for") {
		if c.Cmp = p.cmp(); c.Cmp == "" {
			c.Cmp = ">="
		}
		c.Duration = p.duration()
	}
}

func (p *parser) within(c *Clause) {
	t := p.next("a number")
	if p.err != nil {
		return
	}
	num := t.text
	// 100ms may be one word.
	bare := strings.TrimRight(num, "abcdefghijklmnopqrstuvwxyzµ")
	unit := num[len(bare):]
	n, ok := parseCount(bare)
	if !ok {
		p.failAt(t, "", "%q is not a number", num)
		return
	}
	u := token{text: unit, start: t.start + len(bare), end: t.end}
	if unit == "" {
		if u = p.next("a unit"); p.err != nil {
			return
		}
	}
	c.N = n
	switch u.text {
	case "instructions", "instruction":
		c.Unit = UnitInstructions
	case "thread", "process":
		if !p.take("instructions") && !p.take("instruction") {
			n := p.next("instructions")
			p.failAt(n, "", "instructions is missing after %s, not %q", u.text, n.text)
		}
		c.Unit = Unit(u.text + " instructions")
	case "us", "µs":
		c.Unit = UnitMicroseconds
	case "ms", "s":
		c.Unit = Unit(u.text)
	case "syscalls", "syscall":
		c.Unit = UnitSyscalls
	case "events", "event":
		c.Unit = UnitEvents
	default:
		units := []string{"instructions", "thread instructions", "process instructions", "ms", "s", "syscalls", "events"}
		hint := didYouMean(u.text, units)
		if hint == "" {
			hint = strings.Join(units, ", ")
		}
		p.failAt(u, hint, "unknown unit %q", u.text)
		return
	}
	if c.Unit.duration() > 0 && n > uint64(1<<62/c.Unit.duration()) {
		p.failAt(t, "", "%s is too long", num)
	}
	if !p.take("of") {
		n := p.next("of")
		p.failAt(n, "", "of is missing, not %q", n.text)
	}
	c.Refs = []Ref{p.ref()}
}

// ref reads the name of a point: an id, or an event.
func (p *parser) ref() Ref {
	from := p.i
	t := p.next("an id or an event")
	if p.err != nil {
		return Ref{}
	}
	r := Ref{}
	switch {
	case t.text == "start":
		r.Start = true
	case t.text == "end":
		r.End = true
	case isEventStart(t.text):
		p.i--
		e := p.event()
		r.Event = &e
	case !isIdentifier(t.text, false) || t.quoted:
		p.failAt(t, "", "%q is neither an id nor an event", t.text)
	case slices.Contains(clauseWords, t.text):
		p.failAt(t, "", "an id or an event is missing, not %q", t.text)
	}
	r.Text, r.Place = p.textFrom(from), p.from(from)
	return r
}

// isEventStart reports whether a word begins an event.
func isEventStart(s string) bool {
	switch s {
	case KindCall, KindReturn, KindLine, KindRaise, KindEnter, "signal", "thread", "test", KindExec, KindExit, KindTimeout:
		return true
	}
	return linux.Aliases(s) != nil
}

// cmp reads a comparison, "" for none.
func (p *parser) cmp() string {
	switch s := p.peek(0); s {
	case "<", "<=", ">", ">=":
		p.i++
		return s
	}
	// Without a blank: >2s.
	if s := p.peek(0); strings.HasPrefix(s, ">") || strings.HasPrefix(s, "<") {
		n := 1
		if strings.HasPrefix(s[1:], "=") {
			n = 2
		}
		t := &p.toks[p.i]
		rest := *t
		rest.text, rest.start = t.text[n:], t.start+n
		p.toks = slices.Replace(slices.Clone(p.toks), p.i, p.i+1,
			token{text: s[:n], start: t.start, end: t.start + n}, rest)
		p.i++
		return s[:n]
	}
	return ""
}

// value reads a word, which may be $ID.FIELD.
func (p *parser) value(what string) Value {
	t := p.next(what)
	if p.err != nil {
		return Value{}
	}
	return p.makeValue(t)
}

func (p *parser) makeValue(t token) Value {
	v := Value{Text: t.text, Quoted: t.quoted, Place: p.place(t.start, t.end)}
	rest, ok := strings.CutPrefix(t.text, "$")
	if !ok || t.quoted {
		return v
	}
	id, field, ok := strings.Cut(rest, ".")
	if !ok || !isIdentifier(id, false) || !isIdentifier(field, false) {
		p.failAt(t, "$ID.FIELD, like $conn.fd", "%q names no field of an expectation's event", t.text)
	}
	v.Capture = &Capture{ID: id, Field: field}
	return v
}

// fit holds a clause against the event: some make no sense together.
func (p *parser) fit(e *Expectation, c *Clause) {
	if p.err != nil {
		return
	}
	last := p.toks[p.i-1]
	syscall := e.Event.Kind == KindSyscall
	switch c.Kind {
	case ClauseReturning:
		if !syscall && e.Event.Kind != KindExit && e.Event.Kind != KindReturn {
			p.failAt(last, "return FUNCTION returning VALUE", "%q needs a system call, a return or exit, and %s is none", c.Kind, e.Event.Text)
		} else if e.Event.Kind != KindReturn && c.Value.Quoted {
			p.failAt(last, "", "%s returns a number, not a text", e.Event.Text)
		}
	case ClauseHeld:
		if e.Event.Kind != KindLock {
			p.failAt(last, "lock at FILE:LINE held by NAME", "%q needs a lock, and %s is none", c.Kind, e.Event.Text)
		}
	case ClauseMatching:
		if e.Event.Kind != KindRaise {
			p.failAt(last, "raise EXCEPTION matching \"TEXT\"", "%q needs an exception, and %s is none", c.Kind, e.Event.Text)
		}
	case ClauseWhere:
		if !e.Event.executed() || e.Event.Kind == KindEnter {
			p.failAt(last, "line FILE:LINE where NAME > 3", "%q needs a call, return, line or raise, where there are variables, and %s is none", c.Kind, e.Event.Text)
		}
	case ClauseThrough, ClauseBy:
		if e.Event.stands() {
			p.failAt(last, "", "%q needs an event, and %s says how things stood at the end", c.Kind, e.Event.Text)
		}
	case ClauseFD, ClauseSameFD, ClausePath, ClauseTo, ClauseFailing, ClauseBlocked:
		if !syscall {
			p.failAt(last, "", "%q needs a system call, and %s is none", c.Kind, e.Event.Text)
		}
	case ClauseTaking:
		if !syscall {
			p.failAt(last, "", "%q needs a system call, and %s is none", c.Kind, e.Event.Text)
		}
	case ClauseWith:
		if !syscall {
			p.failAt(last, "", "%q needs a system call, and %s is none", c.Kind, e.Event.Text)
			return
		}
		known := argNames(e.Event.Names)
		for _, a := range c.Args {
			if !slices.Contains(known, a.Name) {
				hint := didYouMean(a.Name, known)
				if hint == "" && len(known) > 0 {
					hint = "it has " + strings.Join(known, ", ")
				}
				p.failAt(last, hint, "%s has no argument %q", e.Event.Text, a.Name)
			}
		}
	}
}

// argNames lists the arguments that any of the system calls has.
func argNames(syscalls []string) []string {
	var all []string
	for _, name := range syscalls {
		nr, _ := linux.Number(name)
		row, ok := linux.Lookup(nr)
		if !ok {
			continue
		}
		for _, a := range row.Args {
			if !slices.Contains(all, a.Name) {
				all = append(all, a.Name)
			}
		}
	}
	return all
}
