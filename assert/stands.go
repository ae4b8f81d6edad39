package assert

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/lazyregexp"
	"pyrr/internal/stack"
)

// What this file is about: sentences that say how things stood at the end, who
// waited for what and who held it, and clauses over values.

// waits reads what follows task, thread and greenlet: [NAME] waits.
func (p *parser) waits(e *EventPattern, first token) {
	e.Kind = first.text + " waits"
	if p.peek(0) != "waits" || p.peek(1) == "waits" {
		if e.Operand = p.next("a name or waits").text; e.Operand == "*" {
			e.Operand = ""
		}
	}
	if p.err == nil && !p.take("waits") {
		hint := first.text + " NAME waits in FUNCTION at FILE:LINE"
		t := p.next("waits")
		p.failAt(t, hint, "waits is missing after %s, not %q", p.src[first.start:p.toks[max(0, p.i-2)].end], t.text)
	}
}

// members reads who takes part in a deadlock: [of NAME {and NAME}].
func (p *parser) members(e *EventPattern) {
	if !p.take("of") {
		return
	}
	for {
		e.Names = append(e.Names, p.next("a name").text)
		if p.err != nil || !p.take("and") {
			return
		}
	}
}

// held reads: held by NAME [at end].
func (p *parser) held(c *Clause) {
	c.Kind = ClauseHeld
	if !p.take("by") {
		n := p.next("by")
		p.failAt(n, "held by NAME", "by is missing after held, not %q", n.text)
	}
	c.Value = p.value("a thread or task")
	c.AtEnd = p.take("at", "end")
}

// operand matches what a condition can compare: a variable, attributes, items
// with plain keys, a length.
var operand = lazyregexp.New(`^(len\()?[\pL_][\pL\pN_]*(\.[\pL_][\pL\pN_]*|\[(-?[0-9]+|'[^']*'|"[^"]*"|[\pL_][\pL\pN_]*)\])*\)?$`)

var comparisons = []string{"<=", ">=", "==", "!=", "<", ">", "is"}

// where reads a condition: NAME, or NAME OP VALUE, with blanks or without.
func (p *parser) where(c *Clause) {
	from := p.i
	t := p.next("a condition")
	if p.err != nil {
		return
	}
	left, op, right := splitCondition(t.text)
	quoted := t.quoted
	if op == "" && !t.quoted {
		if next := p.peek(0); next != "" {
			if l, o, r := splitCondition(next); l == "" && o != "" {
				p.i++
				if op, right = o, r; o == "is" && p.take("not") {
					op = "is not"
				}
			}
		}
		if op == "" && p.peek(0) == "=" {
			p.failAt(p.toks[p.i], left+" == …", "a condition compares with ==, not =")
		}
	}
	if op != "" && right == "" {
		v := p.next("a value")
		if right = v.text; v.quoted {
			right = strconv.Quote(v.text)
		}
	}
	if p.err != nil {
		return
	}
	switch {
	case quoted: // a whole expression in quotes is for who executes
		c.Value = Value{Text: t.text, Quoted: true}
	case !operand().MatchString(left) || strings.HasPrefix(left, "len(") != strings.HasSuffix(left, ")"):
		p.failAt(t, `a variable with its attributes and items, or an expression in quotes: where "a + b > 3"`, "%q can't be compared", left)
		return
	case op == "":
		c.Value = Value{Text: left}
	default:
		c.Value = Value{Text: left + " " + op + " " + right}
	}
	c.Value.Place = p.from(from)
}

// splitCondition takes a word apart at its comparison; op is "" for none.
func splitCondition(s string) (left, op, right string) {
	if s == "is" {
		return "", "is", ""
	}
	at, found := len(s), ""
	for _, o := range comparisons[:6] {
		if i := strings.Index(s, o); i >= 0 && i < at {
			at, found = i, o
		}
	}
	if found == "" {
		return s, "", ""
	}
	return s[:at], found, s[at+len(found):]
}

// needsState reports whether a spec asks how things stood at the end.
func (s *Spec) needsState() bool {
	asks := func(e *EventPattern) bool { return e != nil && e.stands() }
	return s.XFail != nil && s.XFail.Fingerprint != "" ||
		slices.ContainsFunc(s.Golden, func(g *Golden) bool { return g.Tasks != "" }) ||
		slices.ContainsFunc(s.Expect, func(e *Expectation) bool {
			return asks(&e.Event) || slices.ContainsFunc(e.Clauses, func(c Clause) bool {
				return slices.ContainsFunc(c.Refs, func(r Ref) bool { return asks(r.Event) })
			})
		})
}

// stood reports whether the pattern selects what stood so at the end.
func (p *EventPattern) stood(e *Event) bool {
	switch p.Kind {
	case KindDeadlock:
		return p.Names == nil || covers(p.Names, e.Members) || covers(p.Names, e.Locks)
	case KindLock:
		return p.Operand == "" || slices.ContainsFunc(e.Locks, func(name string) bool { return named(p.Operand, name) })
	}
	return p.Operand == "" || named(p.Operand, e.Name) || p.Operand == "main" && e.main() && e.Kind == KindThreadWaits
}

// named holds a name against a pattern: the whole of it, or the last parts of a
// dotted one.
func named(pattern, name string) bool {
	return stack.Glob(pattern, name) || !strings.HasPrefix(pattern, "*") && strings.HasSuffix(name, "."+pattern)
}

// covers reports whether each name has a pattern of its own, and none is left.
func covers(patterns, names []string) bool {
	if len(patterns) != len(names) {
		return false
	}
	used := make([]bool, len(names))
	var place func(k int) bool
	steps := 0
	place = func(k int) bool {
		if k == len(patterns) {
			return true
		}
		for i, n := range names {
			if steps++; steps > 10_000 {
				return false
			}
			if !used[i] && named(patterns[k], n) {
				used[i] = true
				if place(k + 1) {
					return true
				}
				used[i] = false
			}
		}
		return false
	}
	return place(0)
}

// standsText describes how something stood at the end.
func (e *Event) standsText() string {
	switch e.Kind {
	case KindDeadlock:
		return "deadlock of " + strings.Join(e.Members, " and ")
	case KindLock:
		s := "lock"
		if len(e.Locks) > 0 {
			s += " " + e.Locks[0]
		}
		return s + " held by " + orNone("", e.Holder, "nobody who is known")
	}
	s := strings.TrimSuffix(e.Kind, " waits") + " " + orNone("", e.Name, "without a name") + " waits"
	if e.Waits != "" {
		s += " in " + e.Waits
	}
	return s
}

func (j *judge) heldBy(c *Clause, e *Event) answer {
	v, a := j.value(&c.Value)
	if a.truth != yes {
		return a
	}
	ok := e.Holder != "" && (named(v, e.Holder) || v == "main" && !c.Value.Quoted && e.main())
	return holds(ok, "it is held by %s", orNone("", e.Holder, "nobody who is known"))
}

// matching holds the message of an exception against a text: it stands in it, and
// a star stands for any text.
func (j *judge) matching(c *Clause, e *Event) answer {
	v, a := j.value(&c.Value)
	if a.truth != yes {
		return a
	}
	return holds(stack.Glob("*"+v+"*", e.Value), "its message is %s", orNone("", cut(strconv.Quote(e.Value), 120), "empty"))
}

// returned holds the value that a Python function returns against one.
func (j *judge) returned(c *Clause, e *Event) answer {
	v, a := j.value(&c.Value)
	switch {
	case a.truth != yes:
		return a
	case e.Value == "":
		return unclear("the value that it returns could not be read")
	}
	say := "it returned " + cut(e.Value, 120)
	if c.Cmp != "" {
		want, err1 := strconv.ParseFloat(v, 64)
		have, err2 := strconv.ParseFloat(e.Value, 64)
		if err1 != nil {
			return unclear("%q is not a number", v)
		}
		if err2 != nil {
			return holds(false, "%s", say)
		}
		ok := map[string]bool{"<": have < want, "<=": have <= want, ">": have > want, ">=": have >= want}[c.Cmp]
		return holds(ok, "%s", say)
	}
	if c.Value.Quoted { // a text, as Python's repr has it
		return holds(stack.Glob("'"+v+"'", e.Value) || stack.Glob(`"`+v+`"`, e.Value), "%s", say)
	}
	if want, err := strconv.ParseFloat(strings.ReplaceAll(v, ",", ""), 64); err == nil {
		have, err := strconv.ParseFloat(e.Value, 64)
		return holds(err == nil && have == want, "%s", say)
	}
	return holds(stack.Glob(v, e.Value), "%s", say)
}

// where is what the execution found about a condition.
func where(c *Clause, e *Event) answer {
	got, ok := e.Where[c.Value.Text]
	switch {
	case !ok:
		return unclear("the condition %s was not judged there", c.Value.Text)
	case got.Err != "":
		return unclear("%s: %s", c.Value.Text, got.Err)
	case got.Holds || got.Got == "":
		return holds(got.Holds, "%s does not hold", c.Value.Text)
	}
	return holds(false, "%s", fmt.Sprintf("it is %s there", cut(got.Got, 120)))
}

// Compared returns what a condition compares, without the comparison.
func Compared(condition string) (string, bool) {
	for _, op := range []string{" is not ", " is ", " == ", " != ", " <= ", " >= ", " < ", " > ", "==", "!=", "<=", ">=", "<", ">"} {
		if left, _, ok := strings.Cut(condition, op); ok {
			return strings.TrimSpace(left), true
		}
	}
	return "", false
}

// others names what there is instead of what a pattern selects.
func (j *judge) others(p *EventPattern) string {
	const most = 3
	all := j.kinds[p.Kind]
	var said []string
	for _, i := range all[:min(most, len(all))] {
		said = append(said, j.events[i].standsText())
	}
	if len(all) > most {
		said = append(said, fmt.Sprintf("%d more", len(all)-most))
	}
	if len(said) == 0 {
		return ""
	}
	return ", but: " + strings.Join(said, ", ")
}

// waitedIn reports whether a clause names what the standing event waits in: with
// its class, which versions before 3.11 don't keep in frames.
func (c *Clause) waitedIn(e *Event) bool {
	return e.Waits != "" && c.Kind != ClauseAt && c.Kind != ClauseDirectly && c.Frame.File == "" && c.Frame.Func != "" &&
		(e.Waits == c.Frame.Func || strings.HasSuffix(e.Waits, "."+c.Frame.Func))
}
