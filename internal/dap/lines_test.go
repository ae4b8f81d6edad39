package dap

import (
	"fmt"
	"strings"
	"testing"
)

// TestFindCode holds where breakpoints take effect: for each line of a source
// the line, or - for none.
func TestFindCode(t *testing.T) {
	text := `"""Doc
string."""
import os  # 3

# a comment
x = f(1,
      2)   # 7
def g():
    'doc'
    global y
    if x: pass
    else:
        return """a
# no comment
""" + \
            "b"
y = rb'\'' "#"
s = '''
'''.strip()
`
	want := "3 3 3 6 6 6 6 8 11 11 11 13 13 13 13 13 17 18 18"
	c := findCode(text)
	var got []string
	for n := 1; n <= c.last; n++ {
		at, ok := c.at(n)
		if ok {
			got = append(got, fmt.Sprint(at))
		} else {
			got = append(got, "-")
		}
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("breakpoints at\n%s, want\n%s", s, want)
	}
	if _, ok := c.at(c.last + 1); ok {
		t.Error("a breakpoint behind the end")
	}
}

func FuzzFindCode(f *testing.F) {
	f.Add("x = '''\n''' + \\\n'a' # c\n")
	f.Add("0\\\r")
	f.Add("x = 1 + \\\r\n2\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := findCode(text)
		last := 0
		for i := range c.starts {
			if c.starts[i] <= last-1 || c.ends[i] < c.starts[i] || c.ends[i] > strings.Count(text, "\n")+1 {
				t.Errorf("line %d: from %d to %d", i, c.starts[i], c.ends[i])
			}
			last = c.ends[i]
		}
	})
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{"3": "fftf", "== 2": "ftff", ">2": "fftt", ">=2": "fttt", "<3": "ttff", "<= 1": "tfff", "%2": "ftft"} {
		c, err := parseHits(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := ""
		for n := 1; n <= 4; n++ {
			got += map[bool]string{true: "t", false: "f"}[c.holds(n)]
		}
		if got != want {
			t.Errorf("%s holds %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"x", "%0", "-1", "> 1 and 2", "="} {
		if _, err := parseHits(text); err == nil {
			t.Errorf("%q is a hit count", text)
		}
	}
	for _, text := range []string{"{x", "{f(x)}", "{}"} {
		if _, err := parseLog(text); err == nil {
			t.Errorf("%q is a log message", text)
		}
	}
	if parts, err := parseLog("a {{b}} {x.y} c"); err != nil || len(parts) != 3 || parts[0].text != "a {b} " || parts[2].text != " c" {
		t.Errorf("%v, %v", parts, err)
	}
}

func TestCommonEnd(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"/a/b.py", "/c/b.py", 1}, {"/x/a/b.py", "a/b.py", 2}, {"/b.py", "/b.py", 1}, {"a.py", "b.py", 0}} {
		if n := commonEnd(c.a, c.b); n != c.want {
			t.Errorf("%s and %s: %d, want %d", c.a, c.b, n, c.want)
		}
	}
}
