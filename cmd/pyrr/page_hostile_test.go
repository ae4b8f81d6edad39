//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/outfile"
	"pyrr/internal/page"
	"pyrr/internal/recording"
	"pyrr/internal/recording/rectest"
	"pyrr/internal/setup"
)

// hostileProgram has in all its texts what would be markup, a script's end or another
// direction of text: its output, an exception, a thread, variables, its source.
const hostileProgram = `# </script><img src=x onerror="window.pwned=1"> <!-- \u202e <script>window.pwned=2</script>
import sys, threading
bad = "</script><img src=x onerror=window.pwned=3>\u202e\u2066\x1b[31m\x00</textarea></style><iframe>"
long = "</b>" * 250_000
event = threading.Event()
def held(reason):
    try:
        raise ValueError(reason + long)
    except ValueError:
        print(reason, flush=True)
    event.wait()
class Odd:
    def __repr__(self):
        return bad
odd, table = Odd(), {bad: [bad] * 50, "\u202eright": long}
threads = [threading.Thread(target=held, args=(bad,), name=bad, daemon=True)]
threads[0].start()
sys.stdout.write(long + "\n" + bad + "\n")
sys.stdout.flush()
sys.stderr.write("\x07\x08\r" * 100 + "\n" * 3)
threads[0].join()
`

// cutShort matches the end of a long line of output that is cut in the page, or already in
// the recording: a thread that was cut off in its call had written only a part of the line.
var cutShort = regexp.MustCompile(`more (characters|bytes)`)

// crowd writes a recording of very many threads, by two processes, such as no recorder
// would, and its page: each thread is made, waits, and never returns.
func crowd(t *testing.T, threads int, file string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "crowd.pyrr.part")
	w, err := recording.Create(dir, recording.Header{Command: []string{"crowd"}})
	if err != nil {
		t.Fatal(err)
	}
	s := w.Stream(1)
	now, instr := int64(0), uint64(0)
	add := func(ev recording.Event) {
		now, instr = now+1000, instr+10
		if ev.Time, ev.Instr = now, instr; ev.Kind == recording.KindSyscall {
			ev.EndTime = now + 500
		}
		if err := s.Append(&ev); err != nil {
			t.Fatal(err)
		}
	}
	add(recording.Event{Kind: recording.KindStart, TID: 1, Regs: &linux.Regs{}, Proc: &recording.Process{ID: 1, PID: 1, Argv: []string{"crowd", "<script>"}}})
	for i := range threads {
		tid := int32(i + 2)
		add(recording.Event{Kind: recording.KindSyscall, TID: 1, Nr: unix.SYS_CLONE, Ret: int64(tid), Child: tid})
		add(recording.Event{Kind: recording.KindThread, TID: tid, Nr: unix.SYS_CLONE, Why: recording.InCall, Regs: &linux.Regs{}})
		add(recording.Event{Kind: recording.KindEnter, TID: tid, Nr: unix.SYS_FUTEX, Args: [6]uint64{uint64(i), 0}})
	}
	add(recording.Event{Kind: recording.KindTimeout, TID: 1})
	add(recording.Event{Kind: recording.KindEnd, TID: 1, Why: recording.EndTimeout})
	rec := rectest.Reopen(t, w, dir)
	p, err := page.Make(&page.Input{Rec: rec, Title: "<script>", Outcome: "hangs", Describe: func(ev, _ *recording.Event, _ *logview.Follower) string {
		return fmt.Sprintf("</script> %d\u202e", ev.TID)
	}})
	if err == nil {
		err = outfile.Write(file, 0o600, p.Write)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPageHostile opens the pages of a program whose every text is an attack, and of ten
// thousand threads: no text becomes markup or changes its direction, and the page can be used.
func TestPageHostile(t *testing.T) {
	python := tracedPython(t)
	browser, tools := browserTools(t)
	dir := t.TempDir()
	const script = "a<img src=x onerror=window.pwned=4>.py"
	if err := os.WriteFile(filepath.Join(dir, script), []byte(strings.ReplaceAll(hostileProgram, `<!-- \u202e`, "<!-- \u202e")), 0o644); err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(dir, "hostile.pyrr.zip")
	cmd := exec.Command(os.Args[0], "record", "--timeout", setup.Timeout("6s"), "--on-timeout", "kill", "-o", rec, python, "-I", script)
	cmd.Args[0], cmd.Dir = "pyrr", dir
	if out, err := cmd.Output(); err == nil {
		t.Fatalf("it does not hang\n%.300s", out)
	}
	var plans []planned
	for _, name := range []string{"hostile", "crowd"} {
		file := filepath.Join(dir, name+".html")
		if name == "crowd" {
			crowd(t, 10_000, file)
		} else if status, _, errs := capturePyrr("report", "--variables", "always", "-o", file, rec); status != 0 {
			t.Fatalf("report: %s", errs)
		}
		if st, err := os.Stat(file); err != nil || st.Size() > 8<<20 {
			t.Fatalf("%s: %d bytes, %v", name, st.Size(), err)
		}
		plans = append(plans, planned{Name: name, File: file, Hostile: true})
	}
	for _, f := range browse(t, dir, browser, tools, plans, nil) {
		for _, p := range f.Problems {
			t.Errorf("%s: %s", f.Name, p)
		}
		if f.Scripts.Alert != nil || f.Scripts.Injected != 0 || f.Scripts.Raw {
			t.Errorf("%s: texts became markup, or change their direction: %+v", f.Name, f.Scripts)
		}
		if most := setup.Patience(10 * time.Second); f.Slowest > int(most.Milliseconds()) {
			t.Errorf("%s: a step took %d ms", f.Name, f.Slowest)
		}
		t.Logf("%s: the slowest step took %d ms; %q", f.Name, f.Slowest, f.Printed)
		if f.Wide > 0 {
			t.Errorf("%s: the page is %d pixels wider than the screen", f.Name, f.Wide)
		}
		if f.Name == "hostile" && (!cutShort.MatchString(f.Tabs["tab-output"]) || !strings.Contains(f.Tabs["tab-output"], `\u202e`)) {
			t.Errorf("the output is %.300q", f.Tabs["tab-output"])
		}
		if f.Name == "crowd" && !strings.Contains(f.Tabs["tab-events"], "10,00") {
			t.Errorf("the events are %.300q", f.Tabs["tab-events"])
		}
	}
}
