package redact

import (
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// pattern is one form of one secret.
type pattern struct {
	secret   int // in Set.Secrets
	form     string
	from, to []byte
	// base64, base32: the value's first lead and last trail bytes share characters
	// with what stands beside it. from and to cover the whole groups between;
	// fromValue and toValue are the value.
	lead, trail        int
	fromValue, toValue []byte
	alphabet           string
	bits               int // of a character
}

// The alphabets of RFC 4648, sections 4 to 6.
const (
	base32Std = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	base64Std = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// forms returns the forms of a secret, each as its bytes and those that
// replace them, which are as many.
func forms(secret int, value, stand string) []pattern {
	c := collector{secret: secret, seen: map[string]bool{}}
	for _, v := range variants(value, stand) {
		c.all(v.kind, v.value, v.stand)
	}
	return c.list
}

// variant is a value with its letters in some case, and its placeholder.
type variant struct{ kind, value, stand string }

func variants(value, stand string) []variant {
	list := []variant{{"", value, stand}}
	// In another case a short value would be a part of many words.
	const least = 8
	if len(value) < least {
		return list
	}
	for _, k := range cases {
		v := variant{k.name, k.change(value), k.change(stand)}
		if len(v.value) == len(v.stand) && !slices.ContainsFunc(list, func(x variant) bool { return x.value == v.value }) {
			list = append(list, v)
		}
	}
	return list
}

// cases are the changes that programs make to letters: a header's value
// capitalised, a code compared in upper case.
var cases = []struct {
	name   string
	change func(string) string
}{
	{"upper case ", strings.ToUpper}, {"lower case ", strings.ToLower}, {"title case ", titleCase},
	{"capitalised ", func(s string) string { return upperFirst(strings.ToLower(s)) }}, {"capitalised ", upperFirst},
}

// titleCase is Python's str.title, which http.client and others use.
func titleCase(s string) string {
	var b strings.Builder
	within := false
	for _, r := range s {
		if within {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(unicode.ToUpper(r))
		}
		within = unicode.IsLetter(r)
	}
	return b.String()
}

func upperFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// collector gathers the forms of one secret.
type collector struct {
	secret int
	list   []pattern
	seen   map[string]bool
}

func (c *collector) add(p pattern) {
	key := fmt.Sprintf("%s\x00%d", p.from, p.lead)
	if len(p.from) < minAnchor || len(p.from) != len(p.to) || c.seen[key] {
		return
	}
	c.seen[key] = true
	p.secret = c.secret
	c.list = append(c.list, p)
}

// all adds the encodings of a value; kind says how it differs from the secret.
func (c *collector) all(kind, value, stand string) {
	for _, e := range encodings() {
		from, to := e.encode(value), e.encode(stand)
		c.add(pattern{form: kind + e.name, from: []byte(from), to: []byte(to)})
		if e.wide && utf8.ValidString(value) {
			for i, w := range []func(string) []byte{wide16(false), wide16(true), wide32(false), wide32(true)} {
				c.add(pattern{form: kind + []string{"utf-16", "utf-32"}[i/2], from: w(from), to: w(to)})
			}
		}
	}
	for _, alphabet := range []string{base64Std, base64URL} {
		enc := base64.NewEncoding(alphabet).WithPadding(base64.NoPadding)
		c.groups(kind+"base64", value, stand, alphabet, 6, 3, enc.EncodeToString)
	}
	c.groups(kind+"base32", value, stand, base32Std, 5, 5, base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString)
}

// groups adds the forms of an encoding that turns groups of so many bytes into
// characters of so many bits: one for each place in a group where the value may
// begin.
func (c *collector) groups(form, value, stand, alphabet string, bits, group int, encode func([]byte) string) {
	for lead := range group {
		whole := (len(value) - lead) / group * group
		if whole <= 0 {
			continue
		}
		c.add(pattern{
			form: form, from: []byte(encode([]byte(value[lead : lead+whole]))), to: []byte(encode([]byte(stand[lead : lead+whole]))),
			lead: lead, trail: len(value) - lead - whole,
			fromValue: []byte(value), toValue: []byte(stand), alphabet: alphabet, bits: bits,
		})
	}
}

func wide16(big bool) func(string) []byte {
	return func(s string) []byte {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			if big {
				b = append(b, byte(u>>8), byte(u))
			} else {
				b = append(b, byte(u), byte(u>>8))
			}
		}
		return b
	}
}

func wide32(big bool) func(string) []byte {
	return func(s string) []byte {
		var b []byte
		for _, r := range s {
			if big {
				b = append(b, byte(r>>24), byte(r>>16), byte(r>>8), byte(r))
			} else {
				b = append(b, byte(r), byte(r>>8), byte(r>>16), byte(r>>24))
			}
		}
		return b
	}
}

// latin1 is how CPython holds a str of characters below U+0100; "" where
// there are others.
func latin1(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r > 0xff {
			return ""
		}
		b.WriteByte(byte(r))
	}
	return b.String()
}
