package assert

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/stack"
)

// block is a fenced block of docs/specs.md.
type block struct {
	kind, text string
	line       int
}

func docBlocks(t *testing.T) []block {
	t.Helper()
	text, err := os.ReadFile("../docs/specs.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	var open *block
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		fence, isFence := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "```")
		switch {
		case isFence && open == nil:
			open = &block{kind: fence, line: n + 1}
		case isFence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Fatalf("the block at line %d is not closed", open.line)
	}
	return out
}

// TestDocs runs every example of docs/specs.md.
func TestDocs(t *testing.T) {
	seen := map[string]int{}
	for _, b := range docBlocks(t) {
		seen[b.kind]++
		t.Run(fmt.Sprintf("line %d", b.line), func(t *testing.T) {
			switch b.kind {
			case "yaml":
				if _, err := Parse("spec.yaml", []byte(b.text)); err != nil {
					t.Error(err)
				}
			case "grammar":
				docGrammar(t, b.text)
			case "events":
				docEvents(t, b.text)
			case "expect":
				docExpect(t, b.text, Pass, "")
			case "stands":
				docHolds(t, standing(), b.text, Pass, "")
			case "needs-marks":
				docExpect(t, b.text, Unjudged, "needs marks")
			case "golden":
				docGolden(t, b.text)
			case "mistakes":
				text, want, ok := strings.Cut(b.text, "=>\n")
				_, err := Parse("spec.yaml", []byte("version: 1\nrecording: a\n"+text))
				if err == nil || !ok {
					t.Fatalf("no mistake: %v", err)
				}
				if diff := cmp.Diff(want, err.Error()+"\n"); diff != "" {
					t.Errorf("-docs +said:\n%s", diff)
				}
			default:
				t.Errorf("a block of unknown kind %q", b.kind)
			}
		})
	}
	for _, kind := range []string{"yaml", "grammar", "events", "expect", "stands", "needs-marks", "golden", "mistakes"} {
		if seen[kind] == 0 {
			t.Errorf("no block %q", kind)
		}
	}
}

// docExpect holds the lines of a block, as one spec, against the recording
// that the document describes.
func docExpect(t *testing.T, text string, want Verdict, say string) {
	docHolds(t, slowHTTP(), text, want, say)
}

func docHolds(t *testing.T, f *fake, text string, want Verdict, say string) {
	spec := "version: 1\nrecording: rec.pyrr.zip\nexpect:\n  - connect as present\n"
	for line := range strings.Lines(text) {
		spec += "  - " + line
	}
	run := check(t, specIn(t, t.TempDir(), spec), f, Options{})
	for _, c := range run.Specs[0].Checks[1:] {
		if c.Verdict != want || !strings.Contains(c.Got, say) {
			t.Errorf("%s: %s %s", c.Want, c.Verdict, c.Got)
		}
	}
}

func docEvents(t *testing.T, text string) {
	f := slowHTTP()
	tl := newTimeline(f.info, f.events)
	var b strings.Builder
	for _, i := range tl.order {
		e := &tl.events[i]
		fmt.Fprintf(&b, "%9s  %d/%-12s  %s\n", grouped(e.Pos.Instr), e.Proc, e.threadText(), e.Text())
	}
	if diff := cmp.Diff(b.String(), text); diff != "" {
		t.Errorf("-recording +docs:\n%s\n%s", diff, b.String())
	}
}

func docGolden(t *testing.T, text string) {
	p, err := stack.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	s := stack.Paths{Root: "/proj"}.Normal(slowHTTP().stacks[8].Python, sources)
	if d := stack.Compare(p[0], s, false); !d.Equal {
		t.Errorf("differs: %+v", d.Rows)
	}
}

var quoted = regexp.MustCompile(`"([^"]+)"`)

// docGrammar holds that the grammar of the document names each word that the
// parser knows, and no other.
func docGrammar(t *testing.T, text string) {
	known := map[string]bool{}
	add := func(words ...string) {
		for _, w := range words {
			for part := range strings.SplitSeq(w, " ") {
				known[part] = true
			}
		}
	}
	add(eventWords...)
	add(clauseWords...)
	add("no", "exactly", "at", "least", "most", "first", "last", "main", "fd", "same", "for", "of", "and", "is", "not")
	for _, u := range []Unit{UnitInstructions, UnitThreadInstructions, UnitProcessInstructions, UnitMicroseconds, UnitMilliseconds,
		UnitSeconds, UnitSyscalls, UnitEvents} {
		add(string(u))
	}
	for _, u := range durationUnits {
		if u != "µs" && u != "min" { // other names of us and m
			add(u)
		}
	}
	said := map[string]bool{}
	for _, m := range quoted.FindAllStringSubmatch(text, -1) {
		if w := m[1]; strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") == "" {
			said[w] = true
			if !known[w] {
				t.Errorf("the grammar has the word %q, which the parser does not know", w)
			}
		}
	}
	for w := range known {
		if !said[w] {
			t.Errorf("the grammar lacks the word %q", w)
		}
	}
}

// TestDocsExamples holds that there is an example for each construct.
func TestDocsExamples(t *testing.T) {
	missing := map[string]bool{}
	for _, w := range eventWords {
		missing["event "+w] = true
	}
	missing["event syscall"] = true
	for _, k := range []ClauseKind{ClauseAt, ClauseIn, ClauseUnder, ClauseDirectly, ClauseThrough, ClauseBy, ClauseFD, ClauseSameFD,
		ClausePath, ClauseTo, ClauseWith, ClauseReturning, ClauseFailing, ClauseTaking, ClauseBlocked, ClauseWithin, ClauseAfter,
		ClauseBefore, ClauseBetween, ClauseHeld, ClauseMatching, ClauseWhere} {
		missing["clause "+string(k)] = true
	}
	for _, u := range []Unit{UnitInstructions, UnitThreadInstructions, UnitProcessInstructions, UnitMicroseconds, UnitMilliseconds,
		UnitSeconds, UnitSyscalls, UnitEvents} {
		missing["unit "+string(u)] = true
	}
	for _, q := range []string{"no", "exactly", "at least", "at most", "first", "last", "2nd"} {
		missing["quantity "+q] = true
	}
	for _, r := range []string{"an id", "an event", "start", "end"} {
		missing["reference to "+r] = true
	}
	missing["capture"] = true
	missing["±"] = true
	for _, b := range docBlocks(t) {
		if b.kind != "expect" && b.kind != "needs-marks" && b.kind != "stands" {
			continue
		}
		for line := range strings.Lines(b.text) {
			e, err := ParseSentence(strings.TrimSpace(line))
			if err != nil {
				t.Errorf("%s: %v", line, err)
				continue
			}
			delete(missing, "event "+e.Event.Kind)
			delete(missing, "quantity "+strings.TrimRight(e.Quantity.Text, " 0123456789"))
			delete(missing, "quantity "+e.Quantity.Text)
			for _, c := range e.Clauses {
				delete(missing, "clause "+string(c.Kind))
				delete(missing, "unit "+string(c.Unit))
				if c.Frame != nil && c.Frame.Slack > 0 {
					delete(missing, "±")
				}
				if c.Value.Capture != nil {
					delete(missing, "capture")
				}
				for _, r := range c.Refs {
					switch {
					case r.Start:
						delete(missing, "reference to start")
					case r.End:
						delete(missing, "reference to end")
					case r.Event != nil:
						delete(missing, "reference to an event")
					default:
						delete(missing, "reference to an id")
					}
				}
			}
		}
	}
	for m := range missing {
		t.Errorf("no example of: %s", m)
	}
}
