package unwind

import (
	"encoding/binary"
	"fmt"
	"strings"

	"pyrr/internal/mem"
)

// maxString is how many characters of a string are printed, repeats how many
// equal ones are counted instead.
const (
	maxString = 200
	repeats   = 10
)

// formatString prints the string of characters of type t at an address.
func formatString(m mem.Reader, t *ctype, addr uint64) string {
	var chars []uint32
	for at := addr; len(chars) < maxString; {
		// Never beyond the page, which may be the last.
		n := min((maxString-len(chars))*int(t.size), int(page-at%page))
		part := make([]byte, max(n/int(t.size), 1)*int(t.size))
		if err := m.ReadAt(part, at); err != nil {
			if len(chars) == 0 {
				return fmt.Sprintf("<error: Cannot access memory at address %#x>", addr)
			}
			break
		}
		at += uint64(len(part))
		for ; len(part) > 0; part = part[t.size:] {
			var full [4]byte
			copy(full[:], part[:t.size])
			c := binary.LittleEndian.Uint32(full[:])
			if c == 0 {
				return t.prefix + quoteString(chars, false)
			}
			chars = append(chars, c)
		}
	}
	return t.prefix + quoteString(chars, true)
}

// quoteString prints characters as gdb does in the C locale: runs of more than
// the threshold are counted, and what is not ASCII is octal or hexadecimal.
func quoteString(chars []uint32, cut bool) string {
	if len(chars) == 0 {
		return `""`
	}
	var out []string
	var run strings.Builder
	flush := func() {
		if run.Len() > 0 {
			out = append(out, `"`+run.String()+`"`)
			run.Reset()
		}
	}
	var esc escaper
	for i := 0; i < len(chars); {
		n := 1
		for i+n < len(chars) && chars[i+n] == chars[i] {
			n++
		}
		if n >= repeats {
			flush()
			out = append(out, fmt.Sprintf("'%s' <repeats %d times>", new(escaper).char(chars[i], '\''), n))
			i += n
			esc = escaper{}
			continue
		}
		run.WriteString(esc.char(chars[i], '"'))
		i++
	}
	flush()
	s := strings.Join(out, ", ")
	if cut {
		s += "..."
	}
	return s
}

// escaper prints characters within quotes, one after the other.
type escaper struct {
	hex bool // the last one ended with hexadecimal digits
}

func (e *escaper) char(c uint32, quote byte) string {
	hex := e.hex
	e.hex = false
	switch c {
	case '\a':
		return `\a`
	case '\b':
		return `\b`
	case '\t':
		return `\t`
	case '\n':
		return `\n`
	case '\v':
		return `\v`
	case '\f':
		return `\f`
	case '\r':
		return `\r`
	case uint32(quote), '\\':
		return `\` + string(rune(c))
	}
	switch {
	case c > 0o777:
		e.hex = true
		return fmt.Sprintf(`\x%x`, c)
	case c < 0x20 || c >= 0x7f || hex && strings.ContainsRune("0123456789abcdefABCDEF", rune(c)):
		return fmt.Sprintf(`\%03o`, c)
	}
	return string(rune(c))
}
