package redact

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// pattern is one form of one secret.
type pattern struct {
	secret   int // in Set.Secrets
	form     string
	from, to []byte
	// base64: the value's first lead and last trail bytes share characters
	// with what stands beside it. from and to cover the whole groups between;
	// fromValue and toValue are the value.
	lead, trail        int
	fromValue, toValue []byte
	alphabet           string
}

// The alphabets of RFC 4648, sections 4 and 5.
const (
	base64Std = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
)

// forms returns the forms of a secret, each as its bytes and those that
// replace them, which are as many.
func forms(secret int, value, stand string) []pattern {
	var out []pattern
	seen := map[string]bool{}
	add := func(p pattern) {
		key := fmt.Sprintf("%s\x00%d", p.from, p.lead)
		if len(p.from) < minAnchor || len(p.from) != len(p.to) || seen[key] {
			return
		}
		seen[key] = true
		p.secret = secret
		out = append(out, p)
	}
	text := func(form string, encode func(string) string) {
		from, to := encode(value), encode(stand)
		add(pattern{form: form, from: []byte(from), to: []byte(to)})
		if form == "plain" || strings.HasPrefix(form, "url") {
			for _, w := range []struct {
				form string
				wide func(string) []byte
			}{{"utf-16", wide16(false)}, {"utf-16", wide16(true)}, {"utf-32", wide32(false)}, {"utf-32", wide32(true)}} {
				if utf8.ValidString(value) {
					add(pattern{form: w.form, from: w.wide(from), to: w.wide(to)})
				}
			}
		}
	}
	text("plain", func(s string) string { return s })
	for _, safe := range []string{"", "/", "!'()*", "!$&'()*+,;=", "!$&'()*+,;=:@", "!$&'()*+,;=:@/?"} {
		for _, upper := range []bool{true, false} {
			text("url", func(s string) string { return escapeURL(s, "-._~"+safe, upper) })
		}
	}
	for _, upper := range []bool{true, false} {
		text("url", func(s string) string { return strings.ReplaceAll(escapeURL(s, "-._~ ", upper), " ", "+") })
		text("url", func(s string) string { return strings.ReplaceAll(escapeURL(s, "*-._ ", upper), " ", "+") })
	}
	text("json", func(s string) string { return escapeJSON(s, false) })
	text("json", func(s string) string { return escapeJSON(s, true) })
	text("html", html.EscapeString)
	text("latin-1", latin1)
	text("hex", func(s string) string { return hex.EncodeToString([]byte(s)) })
	text("hex", func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) })
	for _, alphabet := range []string{base64Std, base64URL} {
		enc := base64.NewEncoding(alphabet).WithPadding(base64.NoPadding)
		for lead := range 3 {
			whole := (len(value) - lead) / 3 * 3
			if whole <= 0 {
				continue
			}
			add(pattern{
				form: "base64", from: []byte(enc.EncodeToString([]byte(value[lead : lead+whole]))),
				to:   []byte(enc.EncodeToString([]byte(stand[lead : lead+whole]))),
				lead: lead, trail: len(value) - lead - whole,
				fromValue: []byte(value), toValue: []byte(stand), alphabet: alphabet,
			})
		}
	}
	return out
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

func escapeURL(s, safe string, upper bool) string {
	format := "%%%02x"
	if upper {
		format = "%%%02X"
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || strings.IndexByte(safe, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, format, c)
		}
	}
	return b.String()
}

// escapeJSON is the inside of a JSON string; slash escapes / too, and all
// that is not ASCII, as PHP and Python do.
func escapeJSON(s string, slash bool) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '"' || r == '\\' || r == '/' && slash:
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r >= 0x10000 && slash:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		case r >= 0x80 && slash:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
