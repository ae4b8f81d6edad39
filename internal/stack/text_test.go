package stack

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestShort(t *testing.T) {
	p := Paths{Root: "/home/u/proj"}
	tests := []struct {
		name, file, want string
		origin           Origin
	}{
		{"project", "/home/u/proj/app/main.py", "app/main.py", Project},
		{"relative", "./tests/test_a.py", "tests/test_a.py", Project},
		{"outside", "/srv/other/x.py", "/srv/other/x.py", Elsewhere},
		{"a folder that begins like the root", "/home/u/project/x.py", "/home/u/project/x.py", Elsewhere},
		{"site-packages of a venv in the project", "/home/u/proj/.venv/lib/python3.11/site-packages/urllib3/connection.py", "urllib3/connection.py", Package},
		{"dist-packages", "/usr/lib/python3/dist-packages/requests/api.py", "requests/api.py", Package},
		{"Debian", "/usr/lib/python3.11/socket.py", "socket.py", Stdlib},
		{"pyenv", "/root/.pyenv/versions/3.13.0/lib/python3.13/http/client.py", "http/client.py", Stdlib},
		{"free-threaded", "/opt/py/lib/python3.13t/socket.py", "socket.py", Stdlib},
		{"zipped", "/usr/lib/python311.zip/os.py", "os.py", Stdlib},
		{"frozen", "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>", Stdlib},
		{"no file", "<string>", "<string>", Elsewhere},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, origin := p.Short(tt.file)
			if got != tt.want || origin != tt.origin {
				t.Errorf("%q %d, want %q %d", got, origin, tt.want, tt.origin)
			}
		})
	}
}

func TestSymbolName(t *testing.T) {
	for in, want := range map[string]string{
		"recv":                          "recv",
		"__libc_recv":                   "__libc_recv",
		"recv@@GLIBC_2.2.5":             "recv",
		"recv@plt":                      "recv",
		"sock_recv.isra.0":              "sock_recv",
		"gc_collect_main.constprop.0":   "gc_collect_main",
		"f.part.0.cold":                 "f",
		"f.llvm.8834":                   "f",
		"_PyEval_EvalFrameDefault.cold": "_PyEval_EvalFrameDefault",
		"":                              "",
	} {
		if got := symbolName(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

// TestAgrees holds that the text of a file which is not the one that ran is
// noticed, where CPython gives columns.
func TestAgrees(t *testing.T) {
	frame := func(endLine, col, endCol int) Frame {
		return Frame{Kind: Python, File: "a.py", Line: 5, EndLine: endLine, Col: col, EndCol: endCol}
	}
	const line = "    x = f(a, b)  # first"
	tests := []struct {
		name  string
		frame Frame
		line  string
		want  bool
	}{
		{"no columns", frame(0, 0, 0), line, true},
		{"a call", frame(5, 9, 16), line, true},
		{"a name", frame(5, 11, 12), line, true},
		{"several lines", frame(7, 9, 2), "    x = f(a,", true},
		{"begins in a blank", frame(5, 8, 16), line, false},
		{"ends in a blank", frame(5, 9, 17), line, false},
		{"brackets left open", frame(5, 9, 12), line, false},
		{"begins in a word", frame(5, 20, 23), line, false},
		{"ends in a word", frame(5, 20, 22), "    x = f(a, b)  + first", false},
		{"line too short", frame(5, 9, 30), line, false},
		{"line much too short", frame(6, 40, 3), line, false},
		{"brackets in a text", frame(5, 5, 8), `    "(" + x`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.frame.agrees(tt.line); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
	// One frame that does not agree is enough for the file, others keep theirs.
	s := Stack{Frames: []Frame{frame(5, 9, 16), frame(5, 8, 16), {Kind: Python, File: "b.py", Line: 1}}}
	n := Paths{}.Normal(s, func(string, int) (string, bool) { return line, true })
	if n.Frames[0].Text != "" || n.Frames[1].Text != "" || n.Frames[2].Text != "x = f(a, b) # first" {
		t.Errorf("%+v", n.Frames)
	}
}

func TestGlob(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"a*c", "abc", true},
		{"a*c", "acb", false},
		{"a*b*c", "aXbbXc", true},
		{"a**c", "abc", true},
		{`f(\*args)`, "f(*args)", true},
		{`f(\*args)`, "f(xargs)", false},
		{`f(*args)`, "f(xargs)", true},
		{`\d`, `\d`, true},
		{`\\*`, `\x`, true},
		{`\\\*`, `\*`, true},
		{`\\\*`, `\x`, false},
	}
	for _, tt := range tests {
		if got := Glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("Glob(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
	for _, s := range []string{"", "a", "*", `\`, `\\`, `\*`, `a\*b\\*`, `\d+\.\*`} {
		if !Glob(escape(s), s) {
			t.Errorf("%q does not match itself, escaped %q", s, escape(s))
		}
	}
}

const sample = `# recv  thread worker
Py  getresponse                       urllib3/connection.py:504         httplib_response = super().getresponse()
Py  Pool._make_request                urllib3/connectionpool.py:536
…
C   __libc_recv                       libc.so.6

# end
Py  <module>                          <frozen importlib._bootstrap>:?
Py  f                                 a.py:*                            return g(\*args)
`

func TestParse(t *testing.T) {
	want := []Pattern{
		{Label: "recv", Thread: "worker", Source: 1, Lines: []Line{
			{Kind: Python, Func: "getresponse", File: "urllib3/connection.py", Number: "504", Text: "httplib_response = super().getresponse()", Source: 2},
			{Kind: Python, Func: "Pool._make_request", File: "urllib3/connectionpool.py", Number: "536", Source: 3},
			{Gap: true, Source: 4},
			{Kind: C, Func: "__libc_recv", File: "libc.so.6", Source: 5},
		}},
		{Label: "end", Source: 7, Lines: []Line{
			{Kind: Python, Func: "<module>", File: "<frozen importlib._bootstrap>", Number: "?", Source: 8},
			{Kind: Python, Func: "f", File: "a.py", Number: "*", Text: `return g(\*args)`, Source: 9},
		}},
	}
	got, err := Parse(sample)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(sample, Format(got)); diff != "" {
		t.Errorf("written again (-want +got):\n%s", diff)
	}
}

func TestParseMistakes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "\n\n", "1:1: no stack in it"},
		{"unknown kind", "# a\nPx  f  a.py:1\n", `2:1: a line begins with Py, C, … or #, and fields are two blanks apart, not "Px"`},
		{"one blank", "Py f a.py:1\n", `1:1: a line begins with Py, C, … or #, and fields are two blanks apart, not "Py f a.py:1"`},
		{"no function", "Py\n", "1:3: a function is missing after Py"},
		{"no file", "Py  f\n", "1:6: a file is missing after the function (fields are two blanks apart)"},
		{"no number", "Py  f  a.py:x\n", `1:13: not a line number: "x" (digits, * for any, ? for unknown)`},
		{"number only", "Py  f  :1\n", "1:8: a file is missing before the line number"},
		{"C with text", "C  f  libc.so.6  x\n", "1:18: a C frame has a function and a module only"},
		{"column in characters", "Py  é  a.py:x\n", `1:13: not a line number: "x" (digits, * for any, ? for unknown)`},
		{"not text", "\xff", "not UTF-8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.text)
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestHostileFrames holds that frames with any text come through the text
// form unharmed, each on one line.
func TestHostileFrames(t *testing.T) {
	s := Stack{Name: "a\nb  c", Frames: []Frame{
		{Kind: Python, Func: "f\x1b[31m  g", File: "a  b\n.py", Line: 3, Text: "  x =\t*y\u202e \\*"},
		{Kind: Python},
		{Kind: C, Func: "f\xff", Module: "*"},
		{Kind: C},
	}}
	p := PatternOf("at\n# x", s)
	text := Format([]Pattern{p})
	if n := strings.Count(text, "\n"); n != 5 {
		t.Errorf("%d lines:\n%s", n, text)
	}
	back, err := Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	d := Compare(back[0], s, true)
	if !d.Equal {
		t.Errorf("does not match itself: %+v\n%s", d, text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("Py  f  a:1\n…\n...\n")
	f.Add("#  thread x\nC  *  \\*")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse(text)
		if err != nil {
			return
		}
		first := Format(got)
		again, err := Parse(first)
		if err != nil {
			t.Fatalf("%v\nof %q\nwritten from %q", err, first, text)
		}
		if second := Format(again); second != first {
			t.Errorf("%q\nthen %q", first, second)
		}
	})
}
