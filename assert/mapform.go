package assert

import (
	"strings"
)

// expectationKeys are the keys of an expectation's map form. All but the
// first three are clauses: the sentence's words are the key, what follows
// them is the value.
var expectationKeys = []string{"id", "event", "quantity", "at", "in", "under", "directly at", "through", "by", "on", "fd", "to", "with",
	"returning", "failing", "taking", "blocked", "within", "after", "before", "between", "held by", "matching", "where"}

// expectation reads either form; nil after a mistake.
func (l *loader) expectation(n *node) *Expectation {
	if n.kind == scalarNode {
		s, place := l.text(n, "an expectation")
		if s == "" {
			return nil
		}
		e, err := parseSentence(s, place)
		if err != nil {
			l.mistake(err, place)
			words := strings.Fields(s)
			for i, w := range words[1:] {
				if words[i] == "as" {
					l.lost = append(l.lost, w)
				}
			}
			return nil
		}
		return e
	}
	e := l.mapForm(n)
	for i, k := range n.keys {
		if e == nil && k.value == "id" {
			l.lost = append(l.lost, n.items[i].value)
		}
	}
	return e
}

func (l *loader) mistake(m *mistake, place func(start, end int) Place) {
	l.fail(place(m.start, m.end), m.hint, "%s", m.msg)
}

func (l *loader) mapForm(n *node) *Expectation {
	before := len(l.errs)
	e := &Expectation{Quantity: Quantity{Min: 1, Max: -1}, Place: l.place(n)}
	if len(n.keys) > 0 {
		e.Place = l.place(n.keys[0])
	}
	var clauses []Clause
	var words []string // of the sentence, after the event
	add := func(k *node, text string, place func(start, end int) Place) {
		p := newParser(text, place)
		c := p.clause()
		p.end()
		if p.err != nil {
			l.mistake(p.err, place)
			return
		}
		c.Place = l.place(k)
		clauses = append(clauses, c)
		words = append(words, text)
	}
	ok := l.fields(n, "an expectation", expectationKeys, func(key string, k, v *node) {
		switch key {
		case "id":
			s, place := l.text(v, "id")
			p := newParser("as "+s, shift(place, len("as "), l.place(k)))
			if p.id(e); p.err == nil {
				p.end()
			}
			if p.err != nil && s != "" {
				l.mistake(p.err, p.place)
			}
		case "event":
			s, place := l.text(v, "event")
			p := newParser(s, place)
			e.Event = p.event()
			p.end()
			if p.err != nil && s != "" {
				l.mistake(p.err, place)
			}
		case "quantity":
			e.Quantity = l.quantity(v)
		case "with":
			l.with(k, v, add)
		case "between":
			if v.kind == listNode {
				l.between(k, v, add)
				break
			}
			l.clauses(key, k, v, add)
		default:
			l.clauses(key, k, v, add)
		}
	})
	if !ok {
		return nil
	}
	if e.Event.Kind == "" && len(l.errs) == before {
		l.fail(e.Place, "event: recv", "the expectation names no event")
	}
	if len(l.errs) > before {
		return nil
	}
	for i := range clauses {
		// The parser's rules about what fits the event, at the clause's key.
		p := &parser{toks: []token{{}}, i: 1}
		if p.fit(e, &clauses[i]); p.err != nil {
			l.fail(clauses[i].Place, p.err.hint, "%s", p.err.msg)
		}
		if clauses[i].Kind == ClauseWhere {
			e.Event.Where = append(e.Event.Where, clauses[i].Value.Text)
		}
	}
	e.Clauses = clauses
	e.Text = sentenceOf(e, words)
	return e
}

// sentenceOf writes an expectation as one sentence; words are its clauses.
func sentenceOf(e *Expectation, words []string) string {
	sentence := append([]string{}, e.Event.Text)
	if e.Quantity.Text != "" {
		sentence = append([]string{e.Quantity.Text}, sentence...)
	}
	sentence = append(sentence, words...)
	if e.ID != "" {
		sentence = append(sentence, "as "+e.ID)
	}
	return strings.Join(sentence, " ")
}

// shift gives places in a text that has n bytes put before it, which stand
// at another place.
func shift(place func(start, end int) Place, n int, before Place) func(start, end int) Place {
	return func(start, end int) Place {
		if start < n {
			return before
		}
		return place(start-n, max(end-n, start-n))
	}
}

type addClause func(k *node, text string, place func(start, end int) Place)

// clauses reads the value of a clause's key as the rest of the sentence's
// clause; a list stands for several of them.
func (l *loader) clauses(key string, k, v *node, add addClause) {
	for _, item := range l.list(v) {
		if item.kind == scalarNode && item.tag == "!!bool" && item.value == "true" && (key == "blocked" || key == "failing") {
			add(k, key, func(int, int) Place { return l.place(k) })
			continue
		}
		s, place := l.text(item, key)
		if s == "" {
			continue
		}
		prefix := key + " "
		switch {
		case key == "fd" && s == "same":
			add(k, "on same fd", func(int, int) Place { return l.place(item) })
			continue
		case key == "fd":
			prefix = "on fd "
		case key == "matching" && !strings.HasPrefix(s, `"`):
			add(k, "matching "+quoteWord(s), func(int, int) Place { return l.place(item) })
			continue
		case key == "failing" && !strings.HasPrefix(s, "with "):
			prefix = "failing with "
		}
		add(k, prefix+s, shift(place, len(prefix), l.place(k)))
	}
}

// with reads the arguments, as a map or as in a sentence.
func (l *loader) with(k, v *node, add addClause) {
	if v.kind != mapNode {
		l.clauses("with", k, v, add)
		return
	}
	var parts []string
	for i, name := range v.keys {
		if v.items[i].kind != scalarNode {
			l.fail(l.place(v.items[i]), "", "the value of %q is a text, not %s", name.value, v.items[i].kind)
			return
		}
		value, _, ok := l.substitute(v.items[i])
		if !ok {
			return
		}
		if !isIdentifier(name.value, true) {
			l.fail(l.place(name), "", "%q is not the name of an argument", name.value)
			return
		}
		parts = append(parts, name.value+"="+quoteWord(value))
	}
	if len(parts) == 0 {
		l.fail(l.place(k), "with: {fd: 3}", "with names no argument")
		return
	}
	add(k, "with "+strings.Join(parts, ", "), func(int, int) Place { return l.place(v) })
}

func (l *loader) between(k, v *node, add addClause) {
	if len(v.items) != 2 {
		l.fail(l.place(k), "between: [conn, end]", "between needs two points")
		return
	}
	a, _ := l.text(v.items[0], "between")
	b, _ := l.text(v.items[1], "between")
	if a != "" && b != "" {
		add(k, "between "+a+" and "+b, func(int, int) Place { return l.place(k) })
	}
}

// quantity reads "at least 2" or {at least: 2}; a map may have both limits.
func (l *loader) quantity(n *node) Quantity {
	q := Quantity{Min: 1, Max: -1}
	if n.kind != mapNode {
		s, place := l.text(n, "quantity")
		p := newParser(s, place)
		q = p.quantity()
		if p.err == nil && q.Text == "" && !p.done() {
			p.failAt(p.toks[p.i], "no, exactly N, at least N, at most N, first, last, 2nd", "%q is not a quantity", s)
		}
		p.end()
		if p.err != nil && s != "" {
			l.mistake(p.err, place)
		}
		return q
	}
	var words []string
	l.fields(n, "quantity", []string{"exactly", "at least", "at most"}, func(key string, k, v *node) {
		s, place := l.text(v, key)
		p := newParser(s, place)
		count := p.count()
		p.end()
		if p.err != nil && s != "" {
			l.mistake(p.err, place)
		}
		switch key {
		case "exactly":
			q.Min, q.Max = count, count
		case "at least":
			q.Min = count
		case "at most":
			if len(n.keys) == 1 {
				q.Min = 0
			}
			q.Max = count
		}
		words = append(words, key+" "+s)
	})
	if len(words) > 1 && strings.HasPrefix(strings.Join(words, " "), "exactly") {
		l.fail(l.place(n), "", "exactly stands alone")
	}
	q.Text, q.Place = strings.Join(words, " and "), l.place(n)
	return q
}
