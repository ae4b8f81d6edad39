package redact

import (
	"encoding/hex"
	"fmt"
	"html"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
)

// encodings are the ways in which texts hold other texts. They are applied to
// a secret and its placeholder alike. Of a wide one, programs have strings of
// two and four bytes a character too.
var encodings = sync.OnceValue(makeEncodings)

type encoding struct {
	name   string
	wide   bool
	encode func(string) string
}

func makeEncodings() []encoding {
	list := []encoding{{"plain", true, func(s string) string { return s }}}
	add := func(name string, wide bool, encode func(string) string) {
		list = append(list, encoding{name, wide, encode})
	}
	replacer := func(name string, pairs ...string) { add(name, false, strings.NewReplacer(pairs...).Replace) }
	for _, upper := range []bool{true, false} {
		for _, safe := range []string{"", "/", "!'()*", "!$&'()*+,;=", "!$&'()*+,;=:@", "!$&'()*+,;=:@/?"} {
			once := func(s string) string { return escapeURL(s, "-._~"+safe, upper) }
			add("url", true, once)
			add("url, twice", false, func(s string) string { return strings.ReplaceAll(once(s), "%", "%25") })
		}
		for _, safe := range []string{"-._~ ", "*-._ "} {
			add("url", true, func(s string) string { return strings.ReplaceAll(escapeURL(s, safe, upper), " ", "+") })
		}
		add("hex", false, func(s string) string { return inCase(hex.EncodeToString([]byte(s)), upper) })
		add("quoted-printable", false, func(s string) string { return escapeBytes(s, "=", upper) })
		for _, slash := range []bool{true, false} {
			for _, set := range []string{"", "<>&", "<>&'"} {
				add("json", true, func(s string) string { return escapeJSON(s, slash, true, upper, set) })
				add("json", true, func(s string) string { return escapeJSON(s, slash, false, upper, set) })
			}
		}
	}
	add("json, twice", false, func(s string) string {
		return escapeJSON(escapeJSON(s, false, true, false, ""), false, true, false, "")
	})
	for _, quote := range []string{"", "'", `"`} {
		for _, ascii := range []bool{true, false} {
			add("python", false, func(s string) string { return escapePython(s, quote, ascii) })
		}
		bytes := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)
		if quote != "" {
			bytes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, quote, `\`+quote)
		}
		add("python", false, func(s string) string { return escapeBytes(bytes.Replace(s), `\x`, false) })
	}
	add("html", false, html.EscapeString)
	replacer("html", "&", "&amp;", "<", "&lt;", ">", "&gt;")
	replacer("html", "&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
	replacer("html", "&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#x27;") // Python's html.escape
	replacer("html", "&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")
	replacer("html", "&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")
	for _, mark := range []string{"%", "$", "'", `"`, "`", `\`, "{", "}"} { // configparser, Compose and make, SQL and YAML, CSV
		replacer("doubled "+mark, mark, mark+mark)
	}
	replacer("doubled braces", "{", "{{", "}", "}}")
	replacer("shell", "'", `'"'"'`) // Python's shlex.quote
	replacer("shell", "'", `'\''`)
	replacer("shell", `\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`")
	add("shell", false, escapeShell)
	add("latin-1", false, latin1)
	return list
}

func inCase(s string, upper bool) string {
	if upper {
		return strings.ToUpper(s)
	}
	return s
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

// escapeJSON is the inside of a JSON string. Whether a / is escaped, and what
// is not ASCII, and further characters, is up to the writer, as is the case of
// the digits.
func escapeJSON(s string, slash, ascii, upper bool, further string) string {
	unit := func(b *strings.Builder, r rune) {
		if upper {
			fmt.Fprintf(b, `\u%04X`, r)
		} else {
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	short := map[rune]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\f': `\f`}
	return escapeRunes(s, short, func(b *strings.Builder, r rune) {
		switch {
		case r == '/' && slash:
			b.WriteString(`\/`)
		case r >= 0x10000 && ascii:
			hi, lo := utf16.EncodeRune(r)
			unit(b, hi)
			unit(b, lo)
		case r < 0x20 || r >= 0x80 && ascii || strings.ContainsRune(further, r):
			unit(b, r)
		default:
			b.WriteRune(r)
		}
	})
}

// escapeRunes escapes text rune by rune: some have a short form, the others are written
// by other.
func escapeRunes(s string, short map[rune]string, other func(b *strings.Builder, r rune)) string {
	var b strings.Builder
	for _, r := range s {
		if text, known := short[r]; known {
			b.WriteString(text)
		} else {
			other(&b, r)
		}
	}
	return b.String()
}

// escapePython is the inside of a Python literal (repr, ascii and
// str.encode("unicode_escape")), where quote is escaped as well.
func escapePython(s, quote string, ascii bool) string {
	short := map[rune]string{'\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`}
	return escapeRunes(s, short, func(b *strings.Builder, r rune) {
		switch {
		case quote != "" && strings.ContainsRune(quote, r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case !ascii && r > 0xa0 && unicode.IsPrint(r):
			b.WriteRune(r)
		case r >= 0x10000:
			fmt.Fprintf(b, `\U%08x`, r)
		case r >= 0x100:
			fmt.Fprintf(b, `\u%04x`, r)
		case r < 0x20 || r >= 0x7f:
			fmt.Fprintf(b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	})
}

// escapeBytes escapes what is not printable ASCII by a mark and two digits,
// and the mark itself, as quoted-printable (RFC 2045) and Python's bytes do.
func escapeBytes(s, mark string, upper bool) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 0x20 && c < 0x7f && (len(mark) > 1 || c != mark[0]) {
			b.WriteByte(c)
			continue
		}
		b.WriteString(mark)
		b.WriteString(inCase(hex.EncodeToString([]byte{c}), upper))
	}
	return b.String()
}

// escapeShell puts a backslash before all that a shell minds, as printf %q
// and tab completion do.
func escapeShell(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 && strings.ContainsRune(" !\"#$&'()*;<=>?[\\]^`{|}~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
