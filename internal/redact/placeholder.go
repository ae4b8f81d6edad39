package redact

import (
	"strings"
	"unicode/utf8"
)

// The alphabets that placeholders are made of, by the one that the secret
// keeps to: what decodes the secret must be able to decode its placeholder.
const (
	letters    = "redactbfghijklmnopqsuvwxyz"
	hexLetters = "facdeb"
	digits     = "1234567890"
	base32Only = "234567"
)

// placeholder makes a stand-in for value: the same length in every encoding,
// each character of the same kind (a letter of the same case, a digit, or the
// same mark), and as many different ones of each kind, so that what tests,
// splits or tabulates the value goes the same way. Where known is not nil, it
// holds bytes that are already decided, 0 elsewhere: those of a shorter
// secret inside. The variant tells placeholders of the same shape apart.
// Nothing of it is computed from the value but its shape.
func placeholder(value string, known []byte, variant int) string {
	low, nums := letters, digits
	switch {
	case onlyOf(value, func(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '-' }):
		low = hexLetters
	case onlyOf(value, func(c byte) bool { return c >= 'A' && c <= 'Z' || c >= '2' && c <= '7' || c == '=' }):
		nums = base32Only
	}
	kinds := []kind{newKind(value, low), newKind(value, strings.ToUpper(low)), newKind(value, nums)}
	for i := range kinds {
		variant = kinds[i].rotate(variant)
	}
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); {
		r, n := utf8.DecodeRuneInString(value[i:])
		c := value[i]
		switch {
		case known != nil && known[i] != 0:
			out = append(out, known[i:i+n]...)
		case c >= 'a' && c <= 'z':
			out = append(out, kinds[0].take())
		case c >= 'A' && c <= 'Z':
			out = append(out, kinds[1].take())
		case isDigit(c):
			out = append(out, kinds[2].take())
		case r < utf8.RuneSelf || r == utf8.RuneError:
			out = append(out, value[i:i+n]...)
		default:
			out = utf8.AppendRune(out, sameWidth(r))
		}
		i += n
	}
	return string(out)
}

// kind gives out characters of one kind in turn.
type kind struct {
	alphabet string
	distinct int // how many different ones to use
	start, n int
}

func newKind(value, alphabet string) kind {
	k := kind{alphabet: alphabet}
	seen := map[byte]bool{}
	for i := range len(value) {
		if c := value[i]; strings.IndexByte(alphabet, c) >= 0 && !seen[c] {
			seen[c] = true
			k.distinct++
		}
	}
	k.distinct = max(k.distinct, 1)
	return k
}

// rotate uses up a part of the variant by beginning elsewhere.
func (k *kind) rotate(variant int) (rest int) {
	k.start = variant % len(k.alphabet)
	return variant / len(k.alphabet)
}

func (k *kind) take() byte {
	c := k.alphabet[(k.start+k.n%k.distinct)%len(k.alphabet)]
	k.n++
	return c
}

// sameWidth returns a fixed character that takes as many bytes in UTF-8 and
// as wide a string of CPython as r.
func sameWidth(r rune) rune {
	switch {
	case r < 0x100: // Latin-1: one byte a character in CPython
		if r == 0xe9 {
			return 0xe8
		}
		return 0xe9
	case r < 0x800:
		if r == 0x101 {
			return 0x103
		}
		return 0x101
	case r < 0x10000:
		if r == 0x4e00 {
			return 0x4e01
		}
		return 0x4e00
	default:
		if r == 0x1f512 {
			return 0x1f513
		}
		return 0x1f512
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func onlyOf(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}
