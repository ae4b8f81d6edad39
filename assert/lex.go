package assert

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is one word of a sentence. start and end are bytes of the sentence.
type token struct {
	text       string // without quotes
	quoted     bool   // a part of it was quoted
	start, end int
}

// mistake is an error at a piece of a sentence.
type mistake struct {
	start, end int
	msg, hint  string
}

func wrong(start, end int, hint, format string, args ...any) *mistake {
	return &mistake{start: start, end: end, msg: fmt.Sprintf(format, args...), hint: hint}
}

// maxSentence bounds a sentence, in bytes.
const maxSentence = 4096

// lex splits a sentence into words. Double quotes, at a word's beginning or
// after "=", keep blanks inside a word; \" and \\ work within them.
func lex(s string) ([]token, *mistake) {
	if len(s) > maxSentence {
		return nil, wrong(0, 1, "", "the sentence is longer than %d bytes", maxSentence)
	}
	var out []token
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if unicode.IsSpace(r) {
			i += n
			continue
		}
		t := token{start: i}
		var b strings.Builder
		for i < len(s) {
			r, n := utf8.DecodeRuneInString(s[i:])
			if unicode.IsSpace(r) {
				break
			}
			if r == '"' && (i == t.start || s[i-1] == '=') {
				text, end, ok := unquote(s, i)
				if !ok {
					return nil, wrong(i, len(s), "", "the quotes are not closed")
				}
				b.WriteString(text)
				t.quoted = true
				i = end
				continue
			}
			b.WriteString(s[i : i+n])
			i += n
		}
		t.text, t.end = b.String(), i
		out = append(out, t)
	}
	return out, nil
}

// unquote reads a quoted text that begins at s[i] and returns where it ends.
func unquote(s string, i int) (text string, end int, ok bool) {
	var b strings.Builder
	for i++; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), i + 1, true
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", 0, false
}

// quoteWord writes a text so that lex gives it back as one word.
func quoteWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == ',' }) {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
