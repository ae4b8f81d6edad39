//go:build linux && amd64

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// gdbOwn is the part of gdb's answers that only gdb prints: the numbers of values.
var gdbOwn = regexp.MustCompile(`(?m)^\$\d+ = `)

// TestConsoleCEqualsGDB asks pyrr's console and gdb the same of C, at the same place of
// the same recording.
func TestConsoleCEqualsGDB(t *testing.T) {
	t.Parallel()
	rec := clangRecording(t)
	at := []string{"break write", "continue", "frame function held"}
	ask := []string{
		"p buf", "p *p", "p table", "p table[1].name", "p p->color", "p/x a", "p &table[1]", "p a + b * 2", "p counter", "p *why", "p why[2]", "p (long)p == (long)&table",
		"p/d p->left << 4", "p p->right != 2", "p/t m", "p *(struct pair*)p", "p p + 1", "p &table[1] - p", "p/c buf[0]",
		"whatis p", "whatis table", "whatis buf", "whatis *p", "whatis p->name", "ptype p", "ptype struct pair", "ptype enum color", "whatis held", "whatis &buf",
		"p nosuch", "p p->nosuch", "info line", "info symbol held", "info symbol table", "x/s why", "x/2dw p",
	}
	got, gdb := typed(t, rec, append(slices.Clone(at), ask...)...), askGDB(t, rec, at, ask...)
	form := func(command, s string) string {
		s = strings.TrimSpace(strings.ReplaceAll(s, "target:", ""))
		s = gdbOwn.ReplaceAllString(s, "")
		expr := command[strings.IndexByte(command, ' ')+1:]
		s = strings.TrimPrefix(s, expr+" = ")
		s = regexp.MustCompile(`0x\w+ <(table|held)`).ReplaceAllString(s, "ADDR <$1")
		return regexp.MustCompile(`\s+`).ReplaceAllString(s, " ")
	}
	same := 0
	for _, command := range ask {
		a, b := form(command, got[command]), form(command, gdb[command])
		switch command {
		case "p nosuch": // both say that there is no such name, each in its own words
			if !strings.Contains(a, `no variable "nosuch"`) || !strings.Contains(b, "nosuch") && b != "" {
				t.Errorf("%s: %s", command, a)
			}
			continue
		case "p p->nosuch":
			b = "there is no member named nosuch" // it goes to gdb's stderr
		case "x/s why", "x/2dw p":
			a, b = a[strings.IndexByte(a, ':')+1:], b[strings.IndexByte(b, ':')+1:]
		case "info line":
			b = strings.TrimSuffix(b, " and ends at .") // gdb ends it at the next row
		}
		if a != b {
			t.Errorf("%s\npyrr: %s\ngdb:  %s", command, a, b)
		} else {
			same++
		}
	}
	t.Logf("%d answers are gdb's", same)
	for command, want := range map[string]string{"info locals": "a = 56\nb = 291\n", "frame function outer": "#2  outer (k=4)", `printf "%d-%s-%4x|\n", n, why, a`: "\n7-waits-  38|\n"} {
		if a := typed(t, rec, append(slices.Clone(at), command)...)[command]; !strings.Contains(a, want) {
			t.Errorf("%s:\n%s", command, a)
		}
	}
}

// turns matches what is printed where one thread stops running and another follows.
var turns = regexp.MustCompile(`(?m)^\[(New|Switching to) Thread \d+\]\n`)

// TestConsoleScripts runs what scripts consist of: commands of breakpoints, conditions,
// counts, commands of one's own, files of breakpoints.
func TestConsoleScripts(t *testing.T) {
	rec := consoleRecording(t)
	file := filepath.Join(t.TempDir(), "saved")
	got := typed(t, rec,
		"break double", "commands", "silent", `printf "double(%d) for %s\n", x, "n"`, "continue", "end",
		"dprintf app.py:11,\"total %d\\n\",total", "condition 1 x > 1", "ignore 1 1", "info breakpoints", "continue",
		"goto start ", "tbreak app.py::work", "continue  ", "thread apply all bt -1", "condition 1", "ignore 2 5", "tbreak app.py:5 if x == 3", "save breakpoints "+file, "delete 1 2", "display y * 2", "continue ", "display x", "info display", "undisplay 1", "next",
		"whatis y", "p y + len('ab')", "p/x y", "define sum", "p $arg0 + $arg1", "end ", "sum x y", "define break", "shell echo out; exit 3", `echo one\ttwo "q"\n`, "display/x y", "undisplay", "bt -2", "bt full 1", "frame function work", "p total", "bt x")
	for _, c := range []struct{ command, want string }{
		{"info breakpoints", `1 +y +0 +call double if x > 1\n +ignore next 1 hits\n +silent\n +printf "double.*\n +continue\n2 +y +0 +printf "total %d\\n",total at line app.py:11`},
		{"ignore 1 1", `Will ignore next crossing of breakpoint 1`},
		{"continue", `Continuing.\ntotal 6\ndouble\(2\) for n\nContinuing.\ndouble\(3\) for n\nContinuing.\ntotal 12\n`},
		{"condition 1", `Breakpoint 1 now unconditional`},
		{"continue ", `double \(\) at \S+app.py:5\n5\t    return y\n1: y \* 2 = 12\n`},
		{"display x", `^\n2: x = 3\n`},
		{"info display", `1:   y  y \* 2\n2:   y  x\n`},
		{"next", `app.py:\d+\n.*\n2: x = 3|2: x = <`},
		{"define break", `is a command of pyrr's`},
		{`echo one\ttwo "q"\n`, "^\none\ttwo \"q\"\n$"},
		{"display/x y", `: /x y = `},
		{"shell echo out; exit 3", `out\nthe command ended with exit status 3`},
		{"thread apply all bt -1", `(?s)\nThread 2 \(\d+ "worker"\):\n#\d+ .*\nThread 1 \(\d+ "MainThread"\):\n#\d+ `},
		{"frame function work", `#\d+ +work \(\) at \S+app.py:\d+`},
		{"bt x", `not a number of frames`},
	} {
		// The places where threads take turns are not always the same.
		answer := turns.ReplaceAllString(got[c.command], "")
		if !regexp.MustCompile(c.want).MatchString(answer) {
			t.Errorf("%s: no match for %s in\n%s", c.command, c.want, answer)
		}
	}
	saved, err := os.ReadFile(file)
	if want := "break double\ncommands\nsilent\nprintf \"double(%d) for %s\\n\", x, \"n\"\ncontinue\nend\ndprintf app.py:11,\"total %d\\n\",total\nignore $bpnum 5\ntbreak app.py:5 if x == 3\n"; err != nil || string(saved) != want {
		t.Errorf("saved, %v:\n%s\nnot\n%s", err, saved, want)
	}
	again := typed(t, rec, "source "+file, "info breakpoints")
	if !regexp.MustCompile(`1 +y +0 +call double\n +silent\n(?s:.*)ignore next 5 hits\n3 +y +0 +line app.py:5 if x == 3`).MatchString(again["info breakpoints"]) {
		t.Errorf("read again:\n%s", again["info breakpoints"])
	}
}

// TestConsoleJSON holds that each command is answered by a line of JSON.
func TestConsoleJSON(t *testing.T) {
	rec := consoleRecording(t)
	status, out, errs := capturePyrr("replay", "--json", "-ex", "break app.py:4 if x == 2", "-ex", "continue", "-ex", "bt", "-ex", "print x", "-ex", "nonsense", "-ex", "info locals", "-ex", "quit", rec)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, errs)
	}
	var all []map[string]any
	for line := range strings.Lines(out) {
		var a map[string]any
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		all = append(all, a)
	}
	if len(all) != 7 {
		t.Fatalf("%d answers\n%s", len(all), out)
	}
	if d, _ := all[1]["data"].(map[string]any); d["stopped"] != "breakpoint" || all[1]["instruction"].(float64) < 1 {
		t.Errorf("continue: %v", all[1])
	}
	frames, _ := all[2]["data"].([]any)
	top := slices.IndexFunc(frames, func(f any) bool { return f.(map[string]any)["language"] == "python" })
	if top < 0 || frames[top].(map[string]any)["line"] != 4.0 {
		t.Errorf("bt: %v", all[2])
	}
	if d, _ := all[3]["data"].(map[string]any); d["value"] != "2" || d["type"] != "int" {
		t.Errorf("print: %v", all[3])
	}
	if e, _ := all[4]["error"].(string); !strings.Contains(e, "undefined command") {
		t.Errorf("nonsense: %v", all[4])
	}
	if v, _ := all[5]["data"].([]any); len(v) == 0 || v[0].(map[string]any)["name"] != "x" {
		t.Errorf("info locals: %v", all[5])
	}
}

// TestConsoleShows asks for types, machine code, registers and parts of the stack, and
// runs a command of the user's own.
func TestConsoleShows(t *testing.T) {
	got := typed(t, consoleRecording(t),
		"break app.py:5 if x == 2", "c", "whatis y", "p/x y", "define sum", "p $arg0 + $arg1", "end", "sum x y", "up", "up", "whatis self", "ptype self", "down", "down",
		"disassemble", "info registers rip", "info registers", "bt -3", "bt full 1")
	for _, c := range []struct{ command, want string }{
		{"whatis y", `type = int\n`},
		{"p/x y", `y = 0x4\n`},
		{"sum x y", `= 6\n`},
		{"whatis self", `type = \S*Thread\n`},
		{"ptype self", `(?s)type = \S*Thread\n.*    _?name: str\n`},
		{"disassemble", `(?s)(=>| ) +0x[0-9a-f]+ <_PyEval_EvalFrameDefault[^>]*>:\t\w+ .*=> 0x[0-9a-f]+ <`},
		{"info registers rip", `^\nrip +0x[0-9a-f]+ +`},
		{"info registers", `(?s)rax +0x.*r15 +0x`},
		{"bt -3", `^\n#\d+ .*\n#\d+ .*\n#\d+ .*\n$`},
		{"bt full 1", `(?s)#0 `},
	} {
		if !regexp.MustCompile(c.want).MatchString(got[c.command]) {
			t.Errorf("%s: no match for %s in\n%s", c.command, c.want, got[c.command])
		}
	}
}

// TestConsoleMistakes: a mistaken command changes nothing, and for what gdb can do and a
// recording can't, the console says so.
func TestConsoleMistakes(t *testing.T) {
	got := typed(t, consoleRecording(t),
		"break app.py:5 if x > 1", "condition 1 x >", "info breakpoints", "break nosuch.py:3", "break app.py:999", "delete 2 3", "set var x = 1", "set x=1", "set pagination off", "run", "call f()", "p $1",
		"catch return double", "continue", "continue ", "frame 999", "up 999", "down 999", "thread apply 1 77 bt 1", "x/s 8", "info source", "list double", "list nosuch", "info line app.py:4", "p double(1)", "info line nosuch.c:1")
	for _, c := range []struct{ command, want string }{
		{"condition 1 x >", `something is missing`},
		{"info breakpoints", `line app.py:5 if x > 1\n`},
		{"break nosuch.py:3", `No file nosuch.py is among those of Python that ran`},
		{"break app.py:999", `had \d+ lines when it ran`},
		{"set var x = 1", `can be changed`}, {"set x=1", `can be changed`}, {"set pagination off", `^\n$`},
		{"run", `run: a recording is of one run.*goto start`}, {"call f()", `call: a recording is of one run`}, {"p $1", `no history of values`},
		{"continue", `hit Catchpoint 4 \(return double\), double`},
		{"frame 999", `no frame at level 999`}, {"up 999", `^\n#\d+ `}, {"down 999", `^\n#0 `},
		{"thread apply 1 77 bt 1", `no thread 77`},
		{"x/s 8", `cannot access memory at address 0x8`},
		{"info source", `app.py, 16 lines`},
		{"list double", `3\tdef double\(x\):`}, {"list nosuch", `no function "nosuch"`},
		{"info line app.py:4", `Line 4 of "\S+app.py" is: y = x \* 2`},
		{"p double(1)", `can't call functions`},
		{"info line nosuch.c:1", `no file nosuch.c is among`},
	} {
		if !regexp.MustCompile(c.want).MatchString(got[c.command]) {
			t.Errorf("%s: no match for %s in\n%s", c.command, c.want, got[c.command])
		}
	}
}

// TestConsoleLinesOfC breaks at a line of C before its library is loaded, and where
// something else lies there.
func TestConsoleLinesOfC(t *testing.T) {
	got := typed(t, clangRecording(t),
		"break lib.c:26", "continue", "goto end", "break lib.c:26 if a > 3", "info breakpoints", "delete 1", "goto start", "continue ", "p buf", "info args", "watch counter", "watch p->left", "watch buf", "x/4i $pc", "disassemble outer", "break 27", "break nosuch.c:3", "list lib.c:9")
	for _, c := range []struct{ command, want string }{
		{"break lib.c:26", `Breakpoint 1 \(pending: its library is not loaded yet\): line lib.c:26\n`},
		{"continue", `hit Breakpoint 1, held \(.* at \S*lib.c:26\n`},
		{"break lib.c:26 if a > 3", `Breakpoint 2 at 0x\w+: line lib.c:26\n`},
		{"info breakpoints", `2 +y +0 +line lib.c:26 if a > 3\n`},
		{"break 27", `Breakpoint 5 at 0x\w+: line lib.c:27\n`},
		{"break nosuch.c:3", `No file nosuch.c is among those of Python that ran, and no debug information of C`},
		{"list lib.c:9", `the source is \S*lib.c, which is not on this machine`},
		{"continue ", `hit Breakpoint 2, held \(.* at \S*lib.c:26\n`},
		{"p buf", `"wn held`},
		{"info args", `(?s)n = 7\nm = 8\nwhy = 0x\w+ "waits"\np = 0x`},
		{"watch counter", `Hardware watchpoint 3: counter, at 0x`}, {"watch p->left", `Hardware watchpoint 4: p->left, at 0x`}, {"watch buf", `has 16 bytes`},
		{"x/4i $pc", `=> 0x\w+ <held\+\d+>:\t\w+ `},
		{"disassemble outer", `(?s):\tpush %rbx\n.*:\tcall held.*:\tret\n`},
	} {
		if !regexp.MustCompile(c.want).MatchString(got[c.command]) {
			t.Errorf("%s: no match for %s in\n%s", c.command, c.want, got[c.command])
		}
	}
}
