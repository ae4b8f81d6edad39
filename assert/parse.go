package assert

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"pyrr/internal/linux"
)

// parser reads a sentence word by word. docs/specs.md has the grammar. The
// first mistake sticks, and all that follows yields nothing.
type parser struct {
	src  string
	toks []token
	i    int
	err  *mistake
	// place turns bytes of the sentence into a place in the file.
	place func(start, end int) Place
}

func newParser(src string, place func(start, end int) Place) *parser {
	p := &parser{src: src, place: place}
	if place == nil {
		p.place = func(start, end int) Place { return Place{Line: 1, Col: start + 1, Len: end - start} }
	}
	p.toks, p.err = lex(src)
	return p
}

func (p *parser) fail(m *mistake) {
	if p.err == nil && m != nil {
		p.err = m
	}
}

// failAt is a mistake at the last word that was read.
func (p *parser) failAt(t token, hint, format string, args ...any) {
	p.fail(wrong(t.start, t.end, hint, format, args...))
}

func (p *parser) done() bool { return p.err != nil || p.i >= len(p.toks) }

// peek returns the word n places on, without its quotes; "" past the end.
func (p *parser) peek(n int) string {
	if p.err != nil || p.i+n >= len(p.toks) || p.toks[p.i+n].quoted {
		return ""
	}
	return p.toks[p.i+n].text
}

// take skips the given words if they come next.
func (p *parser) take(words ...string) bool {
	for n, w := range words {
		if p.peek(n) != w {
			return false
		}
	}
	p.i += len(words)
	return true
}

// next reads a word; what says what it is to be.
func (p *parser) next(what string) token {
	if p.err != nil {
		return token{}
	}
	if p.i >= len(p.toks) {
		after := ""
		if p.i > 0 {
			after = " after " + p.src[p.toks[p.i-1].start:p.toks[p.i-1].end]
		}
		p.fail(wrong(len(p.src), len(p.src)+1, "", "%s is missing%s", what, after))
		return token{}
	}
	p.i++
	return p.toks[p.i-1]
}

// from is the place from the word number i to the last one that was read.
func (p *parser) from(i int) Place {
	if p.err != nil || i >= p.i || p.i > len(p.toks) {
		return Place{}
	}
	return p.place(p.toks[i].start, p.toks[p.i-1].end)
}

func (p *parser) textFrom(i int) string {
	if p.err != nil || i >= p.i {
		return ""
	}
	return p.src[p.toks[i].start:p.toks[p.i-1].end]
}

// end reports words that are left over.
func (p *parser) end() {
	if !p.done() {
		t := p.toks[p.i]
		p.failAt(t, "", "nothing is expected here, not %q", t.text)
	}
}

func parseSentence(s string, place func(start, end int) Place) (*Expectation, *mistake) {
	p := newParser(s, place)
	e := &Expectation{Text: strings.Join(strings.Fields(s), " ")}
	if p.err == nil && len(p.toks) == 0 {
		return nil, wrong(0, 1, "", "the expectation is empty")
	}
	e.Quantity = p.quantity()
	e.Event = p.event()
	for !p.done() {
		if p.peek(0) == "as" {
			p.id(e)
			continue
		}
		c := p.clause()
		p.fit(e, &c)
		e.Clauses = append(e.Clauses, c)
		if c.Kind == ClauseWhere {
			e.Event.Where = append(e.Event.Where, c.Value.Text)
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	e.Place = p.from(0)
	return e, nil
}

func (p *parser) id(e *Expectation) {
	p.i++
	t := p.next("a name")
	switch {
	case p.err != nil:
	case !isIdentifier(t.text, false):
		p.failAt(t, "letters, digits, _ and -", "%q can't be a name", t.text)
	case t.text == "start" || t.text == "end":
		p.failAt(t, "", "%q is the name of a point of every recording", t.text)
	case e.ID != "":
		p.failAt(t, "", "the expectation is already called %q", e.ID)
	default:
		e.ID = t.text
	}
}

// isIdentifier reports whether s is letters, digits and underscores (and
// dashes, unless Python's rule holds) and does not begin with a digit.
func isIdentifier(s string, python bool) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r) && (python || r != '-')) {
			return false
		}
	}
	return s != ""
}

// quantity reads how many events there must be, nothing meaning at least one.
func (p *parser) quantity() Quantity {
	from := p.i
	q := Quantity{Min: 1, Max: -1}
	switch {
	case p.take("no"):
		q.Min, q.Max = 0, 0
	case p.take("exactly"):
		n := p.count()
		q.Min, q.Max = n, n
	case p.take("at", "least"):
		q.Min = p.count()
	case p.take("at", "most"):
		q.Min, q.Max = 0, p.count()
	case p.take("first"):
		q.Nth = 1
	case p.take("last"):
		q.Nth = -1
	default:
		if n := ordinal(p.peek(0)); n > 0 {
			p.i++
			q.Min, q.Nth = n, n
		}
	}
	q.Text, q.Place = p.textFrom(from), p.from(from)
	return q
}

const maxCount = 1_000_000_000

// count reads a number of events.
func (p *parser) count() int {
	t := p.next("a number")
	if p.err != nil {
		return 0
	}
	n, ok := parseCount(t.text)
	if !ok || n > maxCount {
		p.failAt(t, "", "%q is not a number of events", t.text)
	}
	return int(n)
}

// parseCount reads a number; 20,000 and 20_000 are 20000.
func parseCount(s string) (uint64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || s[len(s)-1] == ',' || s[len(s)-1] == '_' {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.NewReplacer(",", "", "_", "").Replace(s), 10, 63)
	return n, err == nil
}

// ordinal reads 1st, 2nd, 3rd, 4th, …; 0 for another word.
func ordinal(s string) int {
	digits := strings.TrimRight(s, "stndrh")
	if len(s) != len(digits)+2 {
		return 0
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > maxCount {
		return 0
	}
	want := "th"
	if n%100 < 11 || n%100 > 13 {
		switch n % 10 {
		case 1:
			want = "st"
		case 2:
			want = "nd"
		case 3:
			want = "rd"
		}
	}
	if s[len(digits):] != want {
		return 0
	}
	return n
}

var eventWords = []string{KindCall, KindReturn, KindLine, KindRaise, KindEnter, "signal", "thread start", "thread exit",
	"exec", "exit", "test start", "test end", "timeout", "end", KindTaskWaits, KindThreadWaits, KindGreenletWaits, KindDeadlock, KindLock}

// event reads what the event is.
func (p *parser) event() EventPattern {
	from := p.i
	e := EventPattern{}
	t := p.next("an event")
	if p.err != nil {
		return e
	}
	switch t.text {
	case KindCall, KindReturn:
		e.Kind = t.text
		e.Frame = p.frame("a function")
		if e.Frame != nil && e.Frame.Line > 0 {
			p.failAt(p.toks[p.i-1], "FILE::FUNCTION; or: line "+e.Frame.Text, "%s needs a function, not a line", t.text)
		}
	case KindLine:
		e.Kind = t.text
		e.Frame = p.frame("a line")
		if e.Frame != nil && e.Frame.Line == 0 {
			p.failAt(p.toks[p.i-1], "FILE:LINE; or: call "+e.Frame.Text, "line needs a line")
		}
	case KindRaise, KindEnter:
		e.Kind = t.text
		what := map[string]string{KindRaise: "an exception", KindEnter: "a C function"}[t.text]
		if n := p.next(what); p.err == nil {
			e.Operand = n.text
			if !isFunction(n.text) {
				p.failAt(n, "", "%q is not the name of %s", n.text, what)
			}
		}
	case "signal":
		e.Kind = KindSignal
		n := p.next("the name of a signal")
		if p.err != nil {
			break
		}
		name := strings.ToUpper(n.text)
		if !strings.HasPrefix(name, "SIG") {
			name = "SIG" + name
		}
		if _, ok := linux.SignalNumber(name); !ok {
			p.failAt(n, didYouMean(name, signalNames()), "unknown signal %q", n.text)
		}
		e.Names = []string{name}
	case "task", "greenlet":
		p.waits(&e, t)
	case "thread":
		if p.peek(0) == "waits" || p.peek(1) == "waits" {
			p.waits(&e, t)
			break
		}
		e.Kind = p.second(t, "start", "exit")
	case KindDeadlock:
		e.Kind = t.text
		p.members(&e)
	case KindLock:
		e.Kind = t.text
		if next := p.peek(0); !p.done() && !slices.Contains(clauseWords, next) {
			e.Operand = p.next("the name of a lock").text
		}
	case "test":
		e.Kind = p.second(t, "start", "end")
	case KindExec, KindExit, KindTimeout, KindEnd:
		e.Kind = t.text
	default:
		e.Kind = KindSyscall
		if e.Names = linux.Aliases(t.text); e.Names == nil || t.quoted {
			p.unknownEvent(t)
		}
	}
	e.Text, e.Place = p.textFrom(from), p.from(from)
	return e
}

// second reads the second word of an event with two.
func (p *parser) second(first token, words ...string) string {
	what := strings.Join(words, " or ")
	t := p.next(what)
	if p.err == nil && !slices.Contains(words, t.text) {
		hint := didYouMean(t.text, words)
		if hint == "" && first.text == "thread" {
			hint = "or: thread NAME waits"
		}
		p.failAt(t, hint, "%s or %s is missing after %s, not %q", words[0], words[1], first.text, t.text)
	}
	return first.text + " " + t.text
}

func (p *parser) unknownEvent(t token) {
	known := append(linux.Names(), "recv", "send", "open", "stat", "sleep")
	for _, w := range eventWords {
		first, _, _ := strings.Cut(w, " ")
		known = append(known, first)
	}
	hint := didYouMean(t.text, known)
	if slices.Contains(clauseWords, t.text) {
		hint = "an expectation begins with an event, like recv"
	}
	p.failAt(t, hint, "unknown event %q", t.text)
}

func signalNames() []string {
	var all []string
	for n := 1; n < 32; n++ {
		all = append(all, linux.Signal(n))
	}
	return all
}

// frame reads a place in Python code.
func (p *parser) frame(what string) *FramePattern {
	t := p.next(what)
	if p.err != nil {
		return nil
	}
	f, err := parseFrame(t.text, t.start)
	p.fail(err)
	return f
}

// durationOf reads 2s, 1.5ms, or 2 s as two words.
func (p *parser) duration() time.Duration {
	t := p.next("a duration")
	if p.err != nil {
		return 0
	}
	s := t.text
	if next := p.peek(0); strings.Trim(s, "0123456789.") == "" && slices.Contains(durationUnits, next) {
		s += next
		p.i++
	}
	d, ok := parseDuration(s)
	if !ok {
		p.failAt(t, "2s, 500ms", "%q is not a duration", t.text)
	}
	return d
}

var durationUnits = []string{"ns", "us", "µs", "ms", "s", "m", "min", "h"}

func parseDuration(s string) (time.Duration, bool) {
	num := strings.TrimRightFunc(s, func(r rune) bool { return unicode.IsLetter(r) })
	unit := s[len(num):]
	if !slices.Contains(durationUnits, unit) || num == "" || num[0] < '0' || num[0] > '9' {
		return 0, false
	}
	if unit == "min" {
		unit = "m"
	}
	d, err := time.ParseDuration(num + unit)
	return d, err == nil
}
