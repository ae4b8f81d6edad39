package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHelpFits holds that no help is wider than a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	for _, name := range append(commandNames(), "") {
		var out bytes.Buffer
		if name == "" {
			printOverview(&out)
		} else {
			findCommand(name).printHelp(&out)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := columns(line); n > 80 {
				t.Errorf("help %s: %d columns: %s", name, n, line)
			}
			if strings.HasSuffix(line, " ") {
				t.Errorf("help %s: blanks at the end of %q", name, line)
			}
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct {
		name, line string
		width      int
		want       string
	}{
		{"fits", "  e12  text", 40, "  e12  text"},
		{"a sentence", "one two three four", 10, "one two\n  three\n  four"},
		{"below the second column", "  e1216     one two three four five six seven", 30, "  e1216     one two three four\n            five six seven"},
		{"a path", "in /a/very/long/path/that/does/not/fit/connection.py:504", 40, "in\n  /a/very/long…/fit/connection.py:504"},
		{"colours count nothing", "\x1b[1mone two\x1b[0m three", 13, "\x1b[1mone two\x1b[0m three"},
		{"no blank", strings.Repeat("x", 50), 40, strings.Repeat("x", 13) + "…" + strings.Repeat("x", 26)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := fold(c.line, c.width)
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			for line := range strings.Lines(got) {
				if n := columns(strings.TrimSuffix(line, "\n")); n > c.width {
					t.Errorf("%d columns", n)
				}
			}
		})
	}
}

func TestShortMiddle(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"short", 10, "short"},
		{"site-packages/urllib3/util/connection.py:504", 30, "site-pack…/connection.py:504"},
		{"äöüäöüäöü", 5, "ä…äöü"},
	} {
		got := shortMiddle(c.text, c.n)
		if got != c.want || columns(got) > c.n {
			t.Errorf("%q in %d: %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

// lockedBuffer may be written to and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestSlowWork: without a terminal, a line says now and then what takes long, and none
// comes after the end.
func TestSlowWork(t *testing.T) {
	out := &lockedBuffer{}
	u := &ui{out: out, err: out, slow: &slowWork{err: out, every: 5 * time.Millisecond}}
	u.status("packing %d files", 3)
	for deadline := time.Now().Add(10 * time.Second); strings.Count(out.String(), "\n") < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	u.status("and more")
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), "… and more") && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	u.note("done")
	said := out.String()
	if !strings.HasPrefix(said, "pyrr: … packing 3 files, for 0 s\n") || !strings.HasSuffix(said, "pyrr: done\n") || !strings.Contains(said, "pyrr: … and more") {
		t.Errorf("it said:\n%s", said)
	}
	time.Sleep(20 * time.Millisecond)
	if more := out.String(); more != said {
		t.Errorf("after the end it said %q", strings.TrimPrefix(more, said))
	}
	quick := &ui{out: out, err: out, slow: &slowWork{err: out, every: time.Hour}}
	quick.status("quick")
	quick.clearStatus()
	if more := out.String(); more != said {
		t.Errorf("of quick work it said %q", strings.TrimPrefix(more, said))
	}
}

func TestThreadHint(t *testing.T) {
	all := []threadThere{{1, 100, "MainThread"}, {1, 101, "reader"}, {1, 102, ""}}
	if got, err := threadsNamed("reader", "x", all); err != nil || !got[101] || len(got) != 1 {
		t.Errorf("by name: %v, %v", got, err)
	}
	if got, err := threadsNamed("102", "x", all); err != nil || !got[102] || len(got) != 1 {
		t.Errorf("by id: %v, %v", got, err)
	}
	_, err := threadsNamed("raeder", "x.pyrr.zip", all)
	if err == nil || fmt.Sprint(hintsOf(err)) != "[did you mean --thread reader? it has 100 MainThread, 101 reader, 102]" {
		t.Errorf("%v, hints %q", err, hintsOf(err))
	}
}
