package main

import (
	"strings"
	"testing"
	"time"
)

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
			if got := clean(tt.in); got != tt.want {
				t.Errorf("clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
	if got, want := cleanLine("a\nb\tc"), `a\nb\tc`; got != want {
		t.Errorf("cleanLine: %q, want %q", got, want)
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct{ name, got, want string }{
		{"grouped 0", grouped(0), "0"},
		{"grouped 999", grouped(999), "999"},
		{"grouped 1000", grouped(1000), "1,000"},
		{"grouped 12345678", grouped(12345678), "12,345,678"},
		{"bytes", byteSize(999), "999 B"},
		{"kilobytes", byteSize(1234), "1.23 kB"},
		{"megabytes", byteSize(1_200_000), "1.2 MB"},
		{"almost a megabyte", byteSize(999_999), "1 MB"},
		{"gigabytes", byteSize(2_500_000_000), "2.50 GB"},
		{"nanoseconds", seconds(700), "700 ns"},
		{"milliseconds", seconds(1500 * time.Microsecond), "1.5 ms"},
		{"seconds", seconds(30 * time.Second), "30.000 s"},
		{"negative", seconds(-time.Second), "-1.000 s"},
		{"the least number", seconds(-1 << 63), "-9223372036.855 s"},
		{"one", plural(1, "process", "processes"), "1 process"},
		{"many", plural(1000, "process", "processes"), "1,000 processes"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := shellQuote(tt.in); got != tt.want {
				t.Errorf("shellQuote(%q) = %s, want %s", tt.in, got, tt.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	table(&b, map[int]bool{1: true}, [][]string{{"é", "1", "x"}, {"abc", "1,000", ""}, {"", "", "last"}})
	want := "é        1  x\nabc  1,000\n            last\n"
	if b.String() != want {
		t.Errorf("got\n%q, want\n%q", b.String(), want)
	}
}

// TestStatusLine holds that the status line appears on a terminal only, and
// is gone before anything else is printed.
func TestStatusLine(t *testing.T) {
	var b strings.Builder
	u := &ui{err: &b, width: 10}
	u.status("quiet")
	if b.Len() != 0 {
		t.Errorf("without a terminal: %q", b.String())
	}
	u.live = true
	u.status("0123456789ABC")
	u.status("too soon")
	u.note("done")
	if got, want := b.String(), "\r\x1b[K012345678\r\x1b[Kpyrr: done\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
