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
