package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/capture"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/setup"
	"pyrr/replay"
)

// pythons are the interpreters to test with: that of the system, and with
// PYRR_E2E=full those of pyenv.
func pythons(t *testing.T) []string {
	t.Helper()
	if r := probe.Machine(); !r.CanRecord() || !r.CanReplay() {
		t.Skip("this machine can't record and replay")
	}
	var list []string
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err == nil {
		list = append(list, strings.TrimSpace(string(out)))
	}
	home, _ := os.UserHomeDir()
	more, _ := filepath.Glob(filepath.Join(home, ".pyenv/versions/3.*/bin/python3"))
	for _, p := range more {
		v := filepath.Base(filepath.Dir(filepath.Dir(p)))
		minor, _ := strconv.Atoi(strings.Split(v, ".")[1])
		if minor >= 8 && (os.Getenv("PYRR_E2E") == "full" || minor == 12) {
			list = append(list, p)
		}
	}
	if os.Getenv("PYRR_E2E") == "full" {
		if p := setup.Path("pbs314/bin/python3"); exec.Command(p, "-c", "").Run() == nil {
			list = append(list, p)
		}
	}
	if len(list) == 0 {
		t.Skip("there is no Python")
	}
	return list
}

// pythonOf is the interpreter of the system.
func pythonOf(t testing.TB) string {
	t.Helper()
	if r := probe.Machine(); !r.CanRecord() || !r.CanReplay() {
		t.Skip("this machine can't record and replay")
	}
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Skip("there is no Python")
	}
	return strings.TrimSpace(string(out))
}

func record(t testing.TB, o capture.Options) *recording.Recording {
	t.Helper()
	o.Dir = filepath.Join(t.TempDir(), "r.pyrr.part")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := os.Stdout
	os.Stdout = null
	_, err = capture.Record(context.Background(), o)
	os.Stdout = out
	null.Close()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Open(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rec.Close() })
	return rec
}

// TestBreaksTellWhatSettraceTells compares breakpoints at every line, function
// and exception of a program with what sys.settrace says of a run without
// pyrr.
func TestBreaksTellWhatSettraceTells(t *testing.T) {
	script, err := filepath.Abs("testdata/lines.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, python := range pythons(t) {
		t.Run(filepath.Base(filepath.Dir(filepath.Dir(python))), func(t *testing.T) {
			cmd := exec.Command(python, script, "trace")
			var errs bytes.Buffer
			cmd.Stderr = &errs
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s", err, errs.String())
			}
			want := strings.Split(strings.TrimSpace(errs.String()), "\n")
			want = within(want)

			// The same while a trace function runs in the recording itself.
			for _, args := range [][]string{nil, {"trace"}} {
				rec := record(t, capture.Options{Command: append([]string{python, script}, args...)})
				if d := cmp.Diff(want, within(linesOf(t, rec))); d != "" {
					t.Errorf("settrace and the replay of %q differ (-want +got):\n%s", args, d)
				}
			}
		})
	}
}

// linesOf lists what breakpoints at every line, function and exception of
// lines.py tell.
func linesOf(t *testing.T, rec *recording.Recording) []string {
	t.Helper()
	breaks := []*replay.Break{{Kind: replay.BreakRaise, File: "lines.py"}}
	for _, file := range []string{"lines.py", "lines.py.made"} {
		breaks = append(breaks, &replay.Break{Kind: replay.BreakCall, File: file})
		for line := 1; line < 110; line++ {
			breaks = append(breaks, &replay.Break{Kind: replay.BreakLine, File: file, Line: line})
		}
	}
	var got []string
	_, err := replay.Batch(rec, replay.Options{Breaks: breaks, OnHit: func(h *replay.Hit) error {
		if h.Code != nil && (strings.HasSuffix(h.Code.Func, "local") || h.Line > 94) {
			return nil // the trace function, and what prints what it has noted
		}
		for _, b := range h.Breaks {
			switch b.Kind {
			case replay.BreakRaise:
				got = append(got, "raise "+h.Exception.Type)
			case replay.BreakCall:
				name := h.Code.Func[strings.LastIndexByte(h.Code.Func, '.')+1:]
				got = append(got, fmt.Sprintf("call %s %d", name, h.Code.FirstLine))
			case replay.BreakLine:
				name := h.Code.Func[strings.LastIndexByte(h.Code.Func, '.')+1:]
				got = append(got, fmt.Sprintf("line %s %d", name, h.Line))
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// within keeps of a list what main does, and removes the lines from raise rows, which
// only one of the two lists has.
func within(rows []string) []string {
	var out []string
	inside := false
	for _, r := range rows {
		f := strings.Fields(r)
		if len(f) > 1 && f[0] == "call" && f[1] == "main" {
			inside = true
		}
		if !inside || len(f) < 2 {
			continue
		}
		if f[0] == "raise" {
			r = "raise " + f[1]
		}
		out = append(out, r)
	}
	return out
}
