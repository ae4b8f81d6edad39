package cpython

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

func (p *printer) bool(addr uint64) error {
	n, err := p.r.integer(p.v, addr)
	if err != nil {
		return err
	}
	if n.Sign() == 0 {
		p.b.WriteString("False")
	} else {
		p.b.WriteString("True")
	}
	return nil
}

func (p *printer) int(addr uint64) error {
	n, err := p.r.integer(p.v, addr)
	if err == errBigInt {
		p.b.WriteString("…")
		return nil
	}
	if err == nil {
		s := n.String()
		if len(s) > 2*valueChars {
			s = s[:valueChars] + "…" + s[len(s)-valueChars:]
		}
		p.b.WriteString(s)
	}
	return err
}

var errBigInt = fmt.Errorf("int of more than %d digits", valueDigits)

// integer reads an int: up to 3.11 the sign and number of 30-bit digits are
// ob_size; later lv_tag has the number shifted by three and in its low two
// bits 0 for positive, 1 for zero, 2 for negative (cpython/longintrepr.h).
func (r *Runtime) integer(v *view, addr uint64) (*big.Int, error) {
	l := r.l
	s, err := v.record("int", addr, l.long.digits)
	if err != nil {
		return nil, err
	}
	var n uint64
	negative := false
	if l.long.tag != no {
		tag := s.u64(l.long.tag)
		n, negative = tag>>3, tag&3 == 2
	} else {
		size := int64(s.u64(l.object.size))
		if negative = size < 0; negative {
			size = -size
		}
		n = uint64(size)
	}
	if n > valueDigits {
		return nil, errBigInt
	}
	b, err := v.bytes(addr+uint64(l.long.digits), int(n)*4)
	if err != nil {
		return nil, fmt.Errorf("digits of int: %w", err)
	}
	sum := new(big.Int)
	for i := int(n) - 1; i >= 0; i-- {
		sum.Lsh(sum, 30)
		sum.Add(sum, big.NewInt(int64(binary.LittleEndian.Uint32(b[4*i:]))))
	}
	if negative {
		sum.Neg(sum)
	}
	return sum, nil
}

func (p *printer) bytes(addr uint64) error {
	n, err := p.v.u64(addr + uint64(p.r.l.object.size))
	if err != nil {
		return err
	}
	b, err := p.v.bytes(addr+uint64(p.r.l.bytes.value), int(min(n, valueChars)))
	if err != nil {
		return err
	}
	p.b.WriteString("b" + quote(len(b), func(i int) rune { return rune(b[i]) }, true))
	if n > uint64(len(b)) {
		p.b.WriteString("…")
	}
	return nil
}

func (p *printer) complex(addr uint64) error {
	at := addr + uint64(p.r.l.float.value)
	b, err := p.v.bytes(at, 16)
	if err != nil {
		return err
	}
	re := math.Float64frombits(binary.LittleEndian.Uint64(b))
	im := math.Float64frombits(binary.LittleEndian.Uint64(b[8:]))
	imag := strings.TrimSuffix(floatText(im), ".0") + "j"
	if re == 0 && !math.Signbit(re) {
		p.b.WriteString(imag)
		return nil
	}
	if imag[0] != '-' {
		imag = "+" + imag
	}
	p.b.WriteString("(" + strings.TrimSuffix(floatText(re), ".0") + imag + ")")
	return nil
}

// floatText is repr(float): the shortest text that reads back, with an
// exponent below 1e-4 and from 1e16 on.
func floatText(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// quoteStr is repr(str), with "…" when the str has more characters.
func quoteStr(s rawStr) string {
	text := quote(len(s.data)/s.kind, s.char, false)
	if s.length*s.kind > len(s.data) {
		text += "…"
	}
	return text
}

// quote writes a Python literal of n characters.
func quote(n int, char func(int) rune, isBytes bool) string {
	mark := '\''
	single, double := false, false
	for i := range n {
		single = single || char(i) == '\''
		double = double || char(i) == '"'
	}
	if single && !double {
		mark = '"'
	}
	var b strings.Builder
	b.WriteRune(mark)
	for i := range n {
		c := char(i)
		switch {
		case c == mark || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c >= ' ' && c < 0x7f:
			b.WriteByte(byte(c))
		case !isBytes && c > 0x7f && unicode.IsPrint(c) && !utf16.IsSurrogate(c):
			b.WriteRune(c)
		case c >= 0 && c <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, c)
		case c >= 0 && c <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			fmt.Fprintf(&b, `\U%08x`, uint32(c))
		}
	}
	b.WriteRune(mark)
	return b.String()
}

// printable makes a name out of memory fit for one line of text.
func printable(s string) string {
	for _, c := range s {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			q := strconv.Quote(s)
			return q[1 : len(q)-1]
		}
	}
	return s
}

func afterLastDot(s string) string { return s[strings.LastIndexByte(s, '.')+1:] }
