package layout

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maxRepeat is how many lines of code may stand in two places: what is longer and one
// thing is a function.
const maxRepeat = 5

// alike are places whose lines are the same by accident, with the reason.
var alike = map[string]string{
	"cmd/pyrr/console_test.go cmd/pyrr/dap_test.go":       "two programs in Python, whose lines the tests count",
	"cpython/clock_test.go internal/unwind/files_test.go": "the calls by which debug/elf lists symbols, with their errors",
}

// codeLine is a line that says something, and where it stands.
type codeLine struct {
	number int
	text   string
}

var (
	wordIn    = regexp.MustCompile(`\w`)
	isComment = regexp.MustCompile(`\s*//.*`)
)

// codeLines lists the lines of a file without comments, imports, and lines of braces alone.
// A line with text in quotes keeps its comment: // may be part of that text.
func codeLines(src []byte) (out []codeLine) {
	in := bufio.NewScanner(bytes.NewReader(src))
	in.Buffer(nil, 1<<20)
	imports := false
	for n := 1; in.Scan(); n++ {
		line := strings.TrimSpace(in.Text())
		if line == "import (" || imports {
			imports = line != ")"
			continue
		}
		if !strings.ContainsAny(line, "\"`") {
			line = isComment.ReplaceAllString(line, "")
		}
		if wordIn.MatchString(line) && !strings.HasPrefix(line, "//") {
			out = append(out, codeLine{n, line})
		}
	}
	return out
}

// repeats finds runs of more than maxRepeat lines that stand twice in some files, and
// names the two places of each.
func repeats(files map[string][]codeLine) map[[2]string]int {
	type place struct {
		file string
		at   int
	}
	const n = maxRepeat + 1
	seen := map[string][]place{}
	out := map[[2]string]int{}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		lines := files[name]
		for i := 0; i+n <= len(lines); i++ {
			var key strings.Builder
			for _, l := range lines[i : i+n] {
				key.WriteString(l.text + "\n")
			}
			here := place{name, i}
			for _, p := range seen[key.String()] {
				if pair := [2]string{p.file, name}; (p.file != name || i-p.at >= n) && out[pair] == 0 {
					out[pair] = lines[i].number
				}
			}
			seen[key.String()] = append(seen[key.String()], here)
		}
	}
	return out
}

// TestRepeats holds that what is one thing is written once: no six lines of code are the
// same as six others, in tests too. What is generated does not count.
func TestRepeats(t *testing.T) {
	files := map[string][]codeLine{}
	for _, p := range listPackages(t) {
		for _, file := range slices.Concat(p.GoFiles, p.TestGoFiles, p.XTestGoFiles) {
			b, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(b[:min(len(b), 400)], []byte("// Code generated ")) {
				files[strings.TrimPrefix(p.ImportPath, module+"/")+"/"+file] = codeLines(b)
			}
		}
	}
	found := repeats(files)
	for pair, line := range found {
		if alike[pair[0]+" "+pair[1]] == "" {
			t.Errorf("%s:%d and what follows stands in %s too: make a function of it, or say in this file why the two are alike by accident", pair[1], line, pair[0])
		}
	}
	for pair := range alike {
		a, b, _ := strings.Cut(pair, " ")
		if found[[2]string{a, b}] == 0 {
			t.Errorf("%s have nothing alike any more", pair)
		}
	}
	text := "if err := f(); err != nil {\n\treturn err\n}\n"
	if got := repeats(map[string][]codeLine{"a": codeLines([]byte(strings.Repeat(text, 3))), "b": codeLines([]byte("x := 1 // y\n" + strings.Repeat(text, 3)))}); got[[2]string{"a", "b"}] != 2 {
		t.Errorf("a repeat is not found: %v", got)
	}
}
