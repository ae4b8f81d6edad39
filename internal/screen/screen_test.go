package screen

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"pyrr/internal/printable"
)

const evil = "\x1b]0;PWNED\x07\x1b[31mRED\u202erev\u2028x\u009b31m\x7f\U000e0001ä€\r\n"

func TestCleaner(t *testing.T) {
	for size := 1; size < 7; size++ { // characters are cut anywhere
		var out strings.Builder
		c := &cleaner{w: &out}
		for rest := []byte(evil + "\xc3"); len(rest) > 0; {
			n := min(size, len(rest))
			if k, err := c.Write(rest[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		FinishCleaning(c)
		if got, want := out.String(), printable.Clean(evil)+`\xc3`; got != want {
			t.Errorf("in pieces of %d: %q, want %q", size, got, want)
		}
	}
	// A pipe gets the bytes.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if ForTerminal(w) != w {
		t.Error("what goes to a pipe is changed")
	}
}

func TestPrintJSONIsPlain(t *testing.T) {
	var out bytes.Buffer
	u := &UI{Out: &out}
	if err := u.PrintJSON(map[string]string{"a": evil}); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("printed raw: %q", out.String())
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["a"] != evil {
		t.Errorf("it means %q: %v", back["a"], err)
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
	u := &UI{Out: out, Err: out, Slow: &Slow{err: out, every: 5 * time.Millisecond}}
	u.Status("packing %d files", 3)
	for deadline := time.Now().Add(2 * time.Minute); strings.Count(out.String(), "\n") < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	u.Status("and more")
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(out.String(), "… and more") && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	u.Note("done")
	said := out.String()
	if !regexp.MustCompile(`^pyrr: … packing 3 files, for \d+ s\n`).MatchString(said) || !strings.HasSuffix(said, "pyrr: done\n") || !strings.Contains(said, "pyrr: … and more") {
		t.Errorf("it said:\n%s", said)
	}
	time.Sleep(20 * time.Millisecond)
	if more := out.String(); more != said {
		t.Errorf("after the end it printed %q", strings.TrimPrefix(more, said))
	}
	quick := &UI{Out: out, Err: out, Slow: &Slow{err: out, every: time.Hour}}
	quick.Status("quick")
	quick.ClearStatus()
	if more := out.String(); more != said {
		t.Errorf("for quick work it printed %q", strings.TrimPrefix(more, said))
	}
}

// TestStatusLine holds that the status line appears on a terminal only, and
// is gone before anything else is printed.
func TestStatusLine(t *testing.T) {
	var b strings.Builder
	u := &UI{Err: &b, StatusWidth: 10}
	u.Status("quiet")
	if b.Len() != 0 {
		t.Errorf("without a terminal: %q", b.String())
	}
	u.Live = true
	u.Status("0123456789ABC")
	u.Status("too soon")
	u.Note("done")
	if got, want := b.String(), "\r\x1b[K012345678\r\x1b[Kpyrr: done\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestWordsInLine holds that what a message repeats of the command is on one line, and short.
func TestWordsInLine(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct{ msg, word, want string }{
		{"there is no recording a\nb.pyrr.zip", "a\nb.pyrr.zip", `there is no recording a\nb.pyrr.zip`},
		{"start no\nprog: not found\nand so on", "no\nprog", "start no\\nprog: not found\nand so on"},
		{"two\nlines", "plain", "two\nlines"},
		{"invalid argument " + strconv.Quote(long) + " for --keep", "--keep=" + long,
			`invalid argument "` + strings.Repeat("x", 39) + "…" + strings.Repeat("x", 80) + `" for --keep`},
		{"of " + long[:400] + " all is shown", long[:400], "of " + long[:400] + " all is shown"},
	} {
		if got := wordsInLine(tt.msg, []string{"record", tt.word}); got != tt.want {
			t.Errorf("%.40q of %.40q is\n%q, want\n%q", tt.msg, tt.word, got, tt.want)
		}
	}
	var errs bytes.Buffer
	u := &UI{Err: &errs}
	u.Warn("process 1 (a\nb) is not recorded")
	u.Hint("rm a\nb")
	u.Note("recorded %s", "a\nb")
	if got := errs.String(); strings.Count(got, "\n") != 3 || strings.Count(got, `a\nb`) != 3 {
		t.Errorf("got\n%s", got)
	}
}
