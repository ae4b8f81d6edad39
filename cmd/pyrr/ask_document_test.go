//go:build linux && amd64

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pyrr/internal/goldentest"
	"pyrr/internal/probe"
)

// documented is a block of a document: what was asked, and the lines of the answer.
type documented struct {
	asked string
	from  int // the line of the document that the answer begins with
	lines []string
}

// askBlocks finds the commands and the tools' calls in the blocks of docs/ask.md.
func askBlocks(doc []string) (out []documented) {
	var at *documented
	for i, line := range doc {
		text, inBlock := strings.CutPrefix(line, "    ")
		switch {
		case !inBlock && line != "":
			at = nil
		case strings.HasPrefix(text, "$ pyrr "), strings.HasPrefix(text, "tool     "):
			out = append(out, documented{asked: text, from: i + 1})
			at = &out[len(out)-1]
		case at != nil && inBlock:
			at.lines = append(at.lines, text)
		case at != nil && line == "" && len(at.lines) > 0:
			at.lines = append(at.lines, "") // if the block goes on after the empty line
		}
	}
	for i := range out {
		for n := len(out[i].lines); n > 0 && out[i].lines[n-1] == ""; n-- {
			out[i].lines = out[i].lines[:n-1]
		}
	}
	return out
}

// varies is what differs between two recordings of the same program.
var varies = regexp.MustCompile(`0x[0-9a-f]+…?|[0-9][0-9,.]*`)

func shapeOfLine(s string) string {
	s = varies.ReplaceAllString(strings.TrimPrefix(s, "answer   "), "N")
	return strings.Join(strings.Fields(s), " ")
}

// matchDocument finds the lines of a document in an answer, in order: a line "…" stands for
// any lines, "…" at the end of a line for the rest of it. It returns the lines as they are now.
func matchDocument(t *testing.T, b *documented, answer string) []string {
	t.Helper()
	got := strings.Split(strings.TrimRight(answer, "\n"), "\n")
	var now []string
	n, any := 0, false
	for _, want := range b.lines {
		bare := strings.TrimSpace(strings.TrimPrefix(want, "answer   "))
		if bare == "…" {
			now, any = append(now, want), true
			continue
		}
		begin, open := strings.CutSuffix(want, "…")
		same := func(line string) bool {
			if open && !strings.HasPrefix(bare, "…") {
				w := []rune(shapeOfLine(begin))
				return strings.HasPrefix(shapeOfLine(line), strings.TrimRight(string(w), "N"))
			}
			return shapeOfLine(line) == shapeOfLine(want)
		}
		i := n
		for any && i < len(got) && !same(got[i]) {
			i++
		}
		if i >= len(got) || !same(got[i]) {
			t.Errorf("%s\nhas no line as documented: %s\nbut\n%s", b.asked, want, answer)
			return nil
		}
		line := got[i]
		if r := []rune(line); open && len(r) > len([]rune(want)) {
			line = string(r[:len([]rune(want))-1]) + "…"
		}
		if strings.HasPrefix(want, "answer   ") {
			line = "answer   " + line
		} else if pad := want[:len(want)-len(strings.TrimLeft(want, " "))]; strings.HasPrefix(b.asked, "tool") {
			line = pad + strings.TrimLeft(line, " ")
		}
		now, n, any = append(now, line), i+1, false
	}
	if n < len(got) && !any {
		t.Errorf("%s\nsays more than is documented:\n%s", b.asked, strings.Join(got[n:], "\n"))
		return nil
	}
	return now
}

// TestAskDocument asks a recording everything that docs/ask.md asks, and checks that the
// answers are those in the document, except for numbers; -update writes them anew.
func TestAskDocument(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	python := testPython()
	if v := pythonVersion(python); !strings.HasPrefix(v, "3.11.") {
		t.Skipf("it was written with Python 3.11, this is %q", v)
	}
	const name = "../../docs/ask.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program, err := os.ReadFile("testdata/ask/shop.py")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "shop.py"), program, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(program), "\n") {
		if i+1 >= 7 && i+1 <= 21 && line != "" && !strings.Contains(string(text), " "+line+"\n") {
			t.Errorf("the document does not show line %d: %s", i+1, line)
		}
	}
	doc := strings.Split(string(text), "\n")
	blocks := askBlocks(doc)
	if len(blocks) < 8 {
		t.Fatalf("%d blocks", len(blocks))
	}
	var a *agent
	for i := range blocks {
		b := &blocks[i]
		var answer string
		if command, ok := strings.CutPrefix(b.asked, "$ "); ok {
			cmd := exec.Command("bash", "-c", command)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+pathWith(t, python), "COLUMNS=130", "PYTHONDONTWRITEBYTECODE=1")
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			if err != nil && !strings.Contains(command, "record") && !strings.Contains(command, "explain") {
				t.Fatalf("%s: %v\n%s%s", command, err, out, errs.String())
			}
			if answer = string(out); strings.Contains(command, "record") {
				continue // record prints what it has to say on standard error
			}
		} else {
			if a == nil {
				a = startAgent(t, dir)
			}
			var args map[string]any
			tool, raw, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(b.asked, "tool")), " ")
			if err := json.Unmarshal([]byte(raw), &args); err != nil {
				t.Fatal(err)
			}
			answer, _, _ = a.call(tool, args)
		}
		now := matchDocument(t, b, answer)
		for k, line := range now {
			if doc[b.from+k] = "    " + line; line == "" {
				doc[b.from+k] = ""
			}
		}
	}
	if goldentest.Updating(t) && !t.Failed() {
		// The text goes on from the last line that print shows.
		last := ""
		for i := range doc {
			if m := regexp.MustCompile(`^ +([0-9,]+) .*n = 9, self.sold`).FindStringSubmatch(doc[i]); m != nil {
				last = m[1]
			}
			doc[i] = regexp.MustCompile(`(replay --at )[0-9,]+`).ReplaceAllString(doc[i], "${1}"+last)
		}
		if err := os.WriteFile(name, []byte(strings.Join(doc, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// pathWith is a PATH on which pyrr is this test's program and python3 an interpreter.
func pathWith(t *testing.T, python string) string {
	t.Helper()
	dir := t.TempDir()
	self, err := filepath.Abs(os.Args[0])
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "pyrr")) // TestMain runs main for that name
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "python3"), []byte("#!/bin/sh\nexec "+python+" \"$@\"\n"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(slices.Concat([]string{dir}, filepath.SplitList(os.Getenv("PATH"))), ":")
}
