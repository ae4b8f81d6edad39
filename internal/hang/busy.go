package hang

import (
	"cmp"
	"fmt"
	"strings"

	"pyrr/internal/lazyregexp"
)

// busyLoop is the loop that a thread was in that computed at the end, nil for none
// that is known.
func (j *judge) busyLoop(n node, c *Call) *Busy {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil {
		return nil
	}
	for k := range p.Facts.Busy {
		if b := &p.Facts.Busy[k]; b.TID == c.TID {
			return b
		}
	}
	return nil
}

// computes says of a thread that computes which loop it is in, and what of the loop's
// condition never changed.
func (j *judge) computes(n node, c *Call, at string) (says, degree, kind, missing string) {
	b := j.busyLoop(n, c)
	if b == nil || b.Turn == 0 {
		return "computes" + at, None, "computes", ""
	}
	turns := b.Instr / uint64(b.Turn)
	head, same := j.condition(b)
	for k := range b.Lines {
		l := &b.Lines[k]
		j.cite(Evidence{Text: fmt.Sprintf("%s ran about %s times since the last system call", j.at(l.Frame), thousands(turns*uint64(l.Count))),
			Proc: n.proc, File: l.File, Line: l.Line})
	}
	if head == nil {
		return fmt.Sprintf("computes%s, in a loop: about %s turns of %d instructions", at, thousands(turns), b.Turn), None, "computes", ""
	}
	says = fmt.Sprintf("loops (%s): %s in about %s turns", j.at(*head), strings.Join(same, ", "), thousands(turns))
	if d := j.died(n.proc, ""); d != "" {
		says += "; " + d
	}
	return says, Likely, "busy loop", "what should have changed that"
}

// condition finds the line of a while statement in a loop, if all that its condition
// names kept its value, and says those values.
func (j *judge) condition(b *Busy) (head *Frame, same []string) {
	if j.in.Text == nil {
		return nil, nil
	}
	for k := range b.Lines {
		f := &b.Lines[k].Frame
		if f.File != b.Func.File || f.Func != b.Func.Func {
			continue
		}
		text, ok := strings.CutPrefix(strings.TrimSpace(j.in.Text(f.File, f.Line)), "while ")
		if !ok {
			continue
		}
		names, ok := namesOf(text)
		if !ok || head != nil {
			return nil, nil
		}
		for _, name := range names {
			value, ok := valueOf(b.Same, name)
			if !ok {
				return nil, nil
			}
			same = append(same, name+" stays "+cmp.Or(j.value(value), "what it was"))
		}
		head = f
	}
	if len(same) == 0 || len(same) > 3 {
		return nil, nil
	}
	return head, same
}

// value is a text that a variable holds, "" where those are left out.
func (j *judge) value(text string) string {
	if j.in.NoValues {
		return ""
	}
	return text
}

func valueOf(vars []Var, name string) (string, bool) {
	for _, v := range vars {
		if v.Name == name {
			return v.Value, true
		}
	}
	return "", false
}

var (
	quoted = lazyregexp.New(`"[^"\\]*"|'[^'\\]*'`)
	word   = lazyregexp.New(`[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\.is_set\(\))?\(?`)
)

// namesOf returns what the condition of a while statement names; false where its
// value can depend on more than that: on what a call returns.
func namesOf(text string) ([]string, bool) {
	text = quoted().ReplaceAllString(text, "''")
	text, _, _ = strings.Cut(text, "#")
	end := ending(text)
	if end < 0 || strings.Contains(text[:end], ":=") {
		return nil, false
	}
	var out []string
	for _, name := range word().FindAllString(text[:end], -1) {
		switch name {
		case "not", "and", "or", "is", "in", "True", "False", "None", "len(", "bool(", "not(":
			continue
		}
		if strings.HasSuffix(name, "(") {
			return nil, false
		}
		out = append(out, name)
	}
	return out, len(out) > 0
}

// ending is where the colon of a statement is, outside of all brackets, -1 for none.
func ending(text string) int {
	depth := 0
	for k, c := range text {
		switch c {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ':':
			if depth == 0 {
				return k
			}
		}
	}
	return -1
}

// thousands is a number for people: 12,345,678.
func thousands(n uint64) string {
	s := fmt.Sprint(n)
	for k := len(s) - 3; k > 0; k -= 3 {
		s = s[:k] + "," + s[k:]
	}
	return s
}
