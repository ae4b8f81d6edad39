package printable

import (
	"strings"
	"testing"
	"time"
)

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
			got := Fold(c.line, c.width)
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
			for line := range strings.Lines(got) {
				if n := Columns(strings.TrimSuffix(line, "\n")); n > c.width {
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
		got := ShortMiddle(c.text, c.n)
		if got != c.want || Columns(got) > c.n {
			t.Errorf("%q in %d: %q, want %q", c.text, c.n, got, c.want)
		}
	}
}

func TestShellQuote(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "a/b-c_d.py", "a/b-c_d.py"},
		{"blank", "a b", "'a b'"},
		{"empty", "", "''"},
		{"quote", "it's", `'it'\''s'`},
		{"substitution", "$(x)", "'$(x)'"},
		{"line end", "a\nb's \\", `$'a\nb\'s \\'`},
		{"escape", "\x1b[1m\x7f", `$'\033[1m\177'`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := ShellQuote(tt.in); got != tt.want {
				t.Errorf("shellQuote(%q) = %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	Table(&b, map[int]bool{1: true}, [][]string{{"é", "1", "x"}, {"abc", "1,000", ""}, {"", "", "last"}})
	want := "é        1  x\nabc  1,000\n            last\n"
	if b.String() != want {
		t.Errorf("got\n%q, want\n%q", b.String(), want)
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "a b/c é 日本", "a b/c é 日本"},
		{"line ends and tabs", "a\tb\nc", "a\tb\nc"},
		{"escape sequence", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"C1 control", "a\u009bb", `a\x9bb`},
		{"carriage return", "a\rb", `a\x0db`},
		{"change of direction", "a\u202eb", `a\u202eb`},
		{"not UTF-8", "a\xffb", `a\xffb`},
		{"a real replacement character", "a\ufffdb", "a\ufffdb"},
		{"both", "\ufffd\xff", "\ufffd\\xff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Clean(tt.in); got != tt.want {
				t.Errorf("clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
	if got, want := Line("a\nb\tc"), `a\nb\tc`; got != want {
		t.Errorf("cleanLine: %q, want %q", got, want)
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct{ name, got, want string }{
		{"grouped 0", Grouped(0), "0"},
		{"grouped 999", Grouped(999), "999"},
		{"grouped 1000", Grouped(1000), "1,000"},
		{"grouped 12345678", Grouped(12345678), "12,345,678"},
		{"bytes", ByteSize(999), "999 B"},
		{"kilobytes", ByteSize(1234), "1.23 kB"},
		{"megabytes", ByteSize(1_200_000), "1.2 MB"},
		{"almost a megabyte", ByteSize(999_999), "1 MB"},
		{"gigabytes", ByteSize(2_500_000_000), "2.50 GB"},
		{"nanoseconds", Seconds(700), "700 ns"},
		{"milliseconds", Seconds(1500 * time.Microsecond), "1.5 ms"},
		{"seconds", Seconds(30 * time.Second), "30.000 s"},
		{"negative", Seconds(-time.Second), "-1.000 s"},
		{"the least number", Seconds(-1 << 63), "-9223372036.855 s"},
		{"one", Plural(1, "process", "processes"), "1 process"},
		{"many", Plural(1000, "process", "processes"), "1,000 processes"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}
