package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode"
)

const evil = "\x1b]0;PWNED\x07\x1b[31mRED\u202erev\u2028x\u009b31m\x7f\U000e0001ä€\r\n"

func TestCleaner(t *testing.T) {
	for size := 1; size < 7; size++ { // characters are cut anywhere
		var out strings.Builder
		c := &cleaner{w: &out}
		for rest := []byte(evil + "\xc3"); len(rest) > 0; {
			n := min(size, len(rest))
			if k, err := c.Write(rest[:n]); k != n || err != nil {
				t.Fatal(k, err)
			}
			rest = rest[n:]
		}
		finishCleaning(c)
		if got, want := out.String(), clean(evil)+`\xc3`; got != want {
			t.Errorf("in pieces of %d: %q, want %q", size, got, want)
		}
	}
	// A pipe gets the bytes.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if forTerminal(w) != w {
		t.Error("what goes to a pipe is changed")
	}
}

func TestPrintJSONIsPlain(t *testing.T) {
	var out bytes.Buffer
	u := &ui{out: &out}
	if err := u.printJSON(map[string]string{"a": evil}); err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("printed raw: %q", out.String())
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back["a"] != evil {
		t.Errorf("it means %q: %v", back["a"], err)
	}
}
