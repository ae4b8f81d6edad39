package unwind

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"pyrr/internal/mem"
)

// The forms of values are those of gdb ("print frame-arguments scalars"):
// structures and arrays are "...", pointers to characters show the string,
// pointers to code and to variables the symbol.

// maxString is how much of a string is printed, repeats how many equal
// characters are counted instead.
const (
	maxString = 200
	repeats   = 10
)

// formatValue prints a value of a type; raw holds its bytes in a register.
func formatValue(s *Space, m mem.Reader, t *ctype, raw uint64) string {
	v := t.narrow(raw)
	switch t.kind {
	case kindInt:
		if t.size > 8 {
			return optimizedOut
		}
		if t.signed {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatUint(v, 10)
	case kindChar:
		n := strconv.FormatUint(v, 10)
		if t.signed {
			n = strconv.FormatInt(int64(v), 10)
		}
		return n + " '" + escapeByte(byte(v), '\'', false) + "'"
	case kindBool:
		switch v {
		case 0:
			return "false"
		case 1:
			return "true"
		}
		return strconv.FormatUint(v, 10)
	case kindFloat:
		switch t.size {
		case 4:
			return strings.Replace(fmt.Sprintf("%.9g", math.Float32frombits(uint32(raw))), "+Inf", "inf", 1)
		case 8:
			return strings.Replace(fmt.Sprintf("%.17g", math.Float64frombits(raw)), "+Inf", "inf", 1)
		}
	case kindEnum:
		return formatEnum(t, v)
	case kindPointer:
		return formatPointer(s, m, t.elem, raw)
	case kindAggregate:
		return "..."
	}
	return fmt.Sprintf("%#x", v)
}

const (
	optimizedOut = "<optimized out>"
	synthetic    = "<synthetic pointer>"
)

// formatEnum prints a value of an enumeration: its name, or where the values
// are flags those that make it up.
func formatEnum(t *ctype, v uint64) string {
	flags := true
	for _, e := range t.enum {
		if uint64(e.value) == v || t.size == 4 && uint32(e.value) == uint32(v) {
			return e.name
		}
		if e.value < 0 || e.value&(e.value-1) != 0 {
			flags = false
		}
	}
	if !flags {
		if t.signed {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatUint(v, 10)
	}
	if v == 0 {
		return "0"
	}
	var parts []string
	rest := v
	for _, e := range t.enum {
		if e.value != 0 && rest&uint64(e.value) == uint64(e.value) {
			parts = append(parts, e.name)
			rest &^= uint64(e.value)
		}
	}
	if rest != 0 {
		parts = append(parts, fmt.Sprintf("unknown: %#x", rest))
	}
	return "(" + strings.Join(parts, " | ") + ")"
}

func formatPointer(s *Space, m mem.Reader, elem *ctype, v uint64) string {
	out := fmt.Sprintf("%#x", v)
	if sym := s.symbolic(v); sym != "" {
		out += " <" + sym + ">"
	}
	if elem != nil && elem.kind == kindChar && v != 0 {
		out += " " + formatString(m, v)
	}
	return out
}

// symbolic names an address in code or in a variable: name or name+offset.
func (s *Space) symbolic(addr uint64) string {
	mod := s.Find(addr)
	if mod == nil {
		return ""
	}
	name, start, ok := mod.Symbol(addr - mod.Bias)
	if ok {
		name = PlainName(name)
	} else if name, start, ok = mod.dataSymbol(addr - mod.Bias); !ok {
		return ""
	}
	// A variable of a function has its number behind its name.
	if i := strings.LastIndexByte(name, '.'); i > 0 && strings.Trim(name[i+1:], "0123456789") == "" {
		name = name[:i]
	}
	if off := addr - mod.Bias - start; off != 0 {
		return fmt.Sprintf("%s+%d", name, off)
	}
	return name
}

// formatString prints the string at an address.
func formatString(m mem.Reader, addr uint64) string {
	var b []byte
	ended := false
	for len(b) < maxString {
		// Never beyond the page, which may be the last.
		n := min(maxString-len(b), int(page-(addr+uint64(len(b)))%page))
		part := make([]byte, n)
		if err := m.ReadAt(part, addr+uint64(len(b))); err != nil {
			if len(b) == 0 {
				return fmt.Sprintf("<error: Cannot access memory at address %#x>", addr)
			}
			break
		}
		for _, c := range part {
			if c == 0 {
				ended = true
				break
			}
			b = append(b, c)
		}
		if ended {
			break
		}
	}
	return quoteString(b, !ended)
}

// quoteString prints bytes as gdb does: runs of more than the threshold are
// counted, and what is not ASCII is octal.
func quoteString(b []byte, cut bool) string {
	if len(b) == 0 {
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
	octal := false
	for i := 0; i < len(b); {
		n := 1
		for i+n < len(b) && b[i+n] == b[i] {
			n++
		}
		if n >= repeats {
			flush()
			out = append(out, fmt.Sprintf("'%s' <repeats %d times>", escapeByte(b[i], '\'', false), n))
			i += n
			octal = false
			continue
		}
		run.WriteString(escapeByte(b[i], '"', octal))
		octal = b[i] >= 0x7f || b[i] < 0x20 && !strings.ContainsRune("\a\b\t\n\v\f\r\x1b", rune(b[i]))
		i++
	}
	flush()
	s := strings.Join(out, ", ")
	if cut {
		s += "..."
	}
	return s
}

// escapeByte prints a character within quotes. afterOctal has a digit escaped
// that would else belong to the escape before it.
func escapeByte(c byte, quote byte, afterOctal bool) string {
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
	case 0x1b:
		return `\033`
	case quote, '\\':
		return `\` + string(rune(c))
	}
	if c < 0x20 || c >= 0x7f || afterOctal && c >= '0' && c <= '7' {
		return fmt.Sprintf(`\%03o`, c)
	}
	return string(rune(c))
}

// readValue reads a variable's bytes from where it is.
func readValue(m mem.Reader, loc location, size int64) (uint64, error) {
	switch loc.kind {
	case inRegister, isValue:
		return loc.value, nil
	case inMemory:
		var b [8]byte
		if err := m.ReadAt(b[:min(max(size, 1), 8)], loc.addr); err != nil {
			return 0, err
		}
		return binary.LittleEndian.Uint64(b[:]), nil
	}
	return 0, errOptimizedOut
}
