package printable

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// AtTime prints a time since the start of the recording.
func AtTime(ns int64) string { return fmt.Sprintf("%.6f s", float64(ns)/1e9) }

// Indent puts by before each line of a text, which ends in one line end.
func Indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by) + "\n"
}

// Fold breaks a line into ones of at most width columns. Further ones begin below
// the text of its second column, where it has one.
func Fold(line string, width int) string {
	if Columns(line) <= width {
		return line
	}
	body := strings.TrimLeft(line, " ")
	indent := len(line) - len(body)
	hang := indent + 2
	if i := strings.Index(body, "  "); i > 0 && i < width/4 {
		rest := strings.TrimLeft(body[i:], " ")
		if at := indent + Columns(body[:len(body)-len(rest)]); at < width/2 {
			hang = at
		}
	}
	var b strings.Builder
	col, begin := 0, true
	for len(body) > 0 {
		blanks := len(body) - len(strings.TrimLeft(body, " "))
		gap := body[:blanks]
		body = body[blanks:]
		word := body
		if i := strings.IndexByte(body, ' '); i >= 0 {
			word = body[:i]
		}
		body = body[len(word):]
		switch w := Columns(word); {
		case begin:
			b.WriteString(strings.Repeat(" ", indent))
			col = indent
		case col+len(gap)+w > width:
			b.WriteString("\n" + strings.Repeat(" ", hang))
			col = hang
		default:
			b.WriteString(gap)
			col += len(gap)
		}
		begin = false
		if room := width - col; Columns(word) > room {
			word = ShortMiddle(word, room)
		}
		b.WriteString(word)
		col += Columns(word)
	}
	return b.String()
}

// Columns counts the characters of a text without its escape sequences.
func Columns(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if s[i] == 0x1b {
			if end := strings.IndexByte(s[i:], 'm'); end > 0 {
				i += end + 1
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
		n++
	}
	return n
}

// ShortMiddle leaves out of the middle of a text what exceeds n characters. Of a path the
// end counts most, FILE:LINE, and it is cut where a name ends.
func ShortMiddle(s string, n int) string {
	r := []rune(s)
	if len(r) <= n || n < 3 {
		return s
	}
	head, tail := (n-1)/3, n-1-(n-1)/3
	end := string(r[len(r)-tail:])
	if i := strings.IndexByte(end, '/'); i > 0 && i < tail/2 {
		end = end[i:]
	}
	return string(r[:head]) + "…" + end
}

func Pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-Columns(s)))
}

// Shorten cuts a text to n runes.
func Shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// ShellQuote quotes a word for the hints and listings, for pasting into sh.
func ShellQuote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_", r))
	}) < 0 {
		return s
	}
	if strings.ContainsFunc(s, unicode.IsControl) { // as POSIX has it since 2024, and each shell before
		q := strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s)
		var b strings.Builder
		for _, c := range []byte(q) {
			if c < ' ' || c == 0x7f {
				fmt.Fprintf(&b, `\%03o`, c)
			} else {
				b.WriteByte(c)
			}
		}
		return "$'" + b.String() + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func ShellJoin(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = ShellQuote(w)
	}
	return strings.Join(out, " ")
}

// ByteSize prints a size in decimal units: 1.2 MB.
func ByteSize(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 999_500:
		return fmt.Sprintf("%.3g kB", float64(n)/1e3)
	case n < 999_500_000:
		return fmt.Sprintf("%.3g MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	}
}

// Plural prints a number with its noun: 1 process, 2 processes.
func Plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Grouped(n) + " " + many
}

// Seconds prints a span of time for people.
func Seconds(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Seconds(d.Abs()) // Abs, for the least number has no negative
	case d < 10*time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	default:
		return fmt.Sprintf("%.3f s", d.Seconds())
	}
}

// Wrap breaks text at blanks into lines of at most n characters, each after
// the indent.
func Wrap(s string, n int, indent string) string {
	var b strings.Builder
	col := 0
	for _, word := range strings.Fields(s) {
		switch w := utf8.RuneCountInString(word); {
		case col == 0:
			b.WriteString(indent)
			col = w
		case col+1+w > n:
			b.WriteString("\n" + indent)
			col = w
		default:
			b.WriteByte(' ')
			col += 1 + w
		}
		b.WriteString(word)
	}
	return b.String()
}
