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

// formatValue prints a value of a type; raw holds its bytes in a register.
func formatValue(s *Modules, m mem.Reader, t *ctype, raw uint64) string {
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
		var esc escaper
		return n + " " + t.prefix + "'" + esc.char(uint32(v)&(1<<(8*t.size)-1), '\'') + "'"
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

func formatPointer(s *Modules, m mem.Reader, elem *ctype, v uint64) string {
	out := fmt.Sprintf("%#x", v)
	if sym := s.symbolic(v); sym != "" {
		out += " <" + sym + ">"
	}
	if elem != nil && elem.kind == kindChar && v != 0 {
		out += " " + formatString(m, elem, v)
	}
	return out
}

// symbolic names an address in code or in a variable: name or name+offset.
func (s *Modules) symbolic(addr uint64) string {
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
	if off := addr - mod.Bias - start; off != 0 {
		return fmt.Sprintf("%s+%d", name, off)
	}
	return name
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
