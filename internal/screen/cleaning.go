package screen

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"pyrr/internal/printable"

	"golang.org/x/term"
)

// ForTerminal makes what a recorded program wrote safe for a terminal; what is
// none gets the bytes as they are.
func ForTerminal(w io.Writer) io.Writer {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &cleaner{w: w}
	}
	return w
}

// cleaner is clean for text that comes in pieces: a character that a piece cuts
// waits for the next one.
type cleaner struct {
	w    io.Writer
	tail []byte
}

func (c *cleaner) Write(b []byte) (int, error) {
	all := append(c.tail, b...)
	cut := len(all)
	for n := 1; n < utf8.UTFMax && n <= len(all); n++ {
		if last := all[len(all)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				cut -= n
			}
			break
		}
	}
	_, err := io.WriteString(c.w, printable.Clean(string(all[:cut])))
	c.tail = append([]byte(nil), all[cut:]...)
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

// FinishCleaning writes what is left of a cut character.
func FinishCleaning(w io.Writer) {
	if c, ok := w.(*cleaner); ok && len(c.tail) > 0 {
		io.WriteString(c.w, printable.Clean(string(c.tail))) // nothing can be done about its failing
		c.tail = nil
	}
}

// plainJSON escapes the characters in a JSON document that could act on a
// terminal; what it means stays the same (RFC 8259, section 7).
func plainJSON(doc []byte) []byte {
	ok := func(r rune) bool { return r == '\n' || r == '\t' || unicode.IsPrint(r) }
	if bytes.IndexFunc(doc, func(r rune) bool { return !ok(r) }) < 0 {
		return doc
	}
	var out bytes.Buffer
	for _, r := range string(doc) {
		switch {
		case ok(r):
			out.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.Bytes()
}

// JSON is plainJSON for an encoder, which writes whole documents.
type JSON struct{ w io.Writer }

// NewJSONWriter makes one that writes to w.
func NewJSONWriter(w io.Writer) io.Writer { return JSON{w} }

func (j JSON) Write(b []byte) (int, error) {
	if _, err := j.w.Write(plainJSON(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}
