package recording

import (
	"bytes"
	"fmt"
	"math/bits"
	"os"
	"reflect"
	"strings"
	"testing"

	"pyrr/internal/goldentest"
)

const formatDoc = "../../docs/format.md"

// fieldsDoc is the table of fields in the document.
func fieldsDoc() string {
	var b strings.Builder
	b.WriteString("| number | field | coding | meaning |\n|---:|---|---|---|\n")
	for _, f := range fieldTable {
		fmt.Fprintf(&b, "| %d | %s | %s | %s |\n", bits.TrailingZeros64(uint64(f.bit)), f.name, f.coding, f.doc)
	}
	return b.String()
}

// kindsDoc is the table of kinds in the document.
func kindsDoc() string {
	var b strings.Builder
	b.WriteString("| number | kind | must have | may have | meaning |\n|---:|---|---|---|---|\n")
	for k, row := range kindTable {
		if row.name != "" {
			fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %s |\n", k, row.name, row.need, row.may, row.doc)
		}
	}
	return b.String()
}

// wordsDoc is the table of what the words of Args mean.
func wordsDoc() string {
	var b strings.Builder
	b.WriteString("| kind | word | meaning |\n|---|---|---|\n")
	for _, k := range []Kind{KindStart, KindWrite, KindSignal} {
		for _, w := range argWords[k] {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k, w.name, w.doc)
		}
	}
	return b.String()
}

// TestArgWords compares the table with the types that give the words names.
func TestArgWords(t *testing.T) {
	ev := Event{Args: [6]uint64{1, 2, 3, 4, 5, 6}}
	for k, typed := range map[Kind]any{KindStart: ev.Area(), KindWrite: ev.Clock(), KindSignal: ev.SigInfo()} {
		v := reflect.ValueOf(typed)
		if v.NumField() != len(argWords[k]) || len(argWords[k]) != len(ev.Args) {
			t.Fatalf("%s has %d words", k, v.NumField())
		}
		for i, w := range argWords[k] {
			if v.Type().Field(i).Name != w.name || v.Field(i).Uint() != uint64(i+1) || w.doc == "" {
				t.Errorf("word %d of %s is %s = %d, and not %s", i, k, v.Type().Field(i).Name, v.Field(i).Uint(), w.name)
			}
		}
	}
	if ev.Area().Words() != ev.Args || ev.Clock().Words() != ev.Args {
		t.Error("words that are set are not those that are read")
	}
}

// TestFormatDocument compares the tables of docs/format.md with the code.
func TestFormatDocument(t *testing.T) {
	doc, err := os.ReadFile(formatDoc)
	if err != nil {
		t.Fatal(err)
	}
	got := doc
	for name, table := range map[string]string{"fields": fieldsDoc(), "kinds": kindsDoc(), "words": wordsDoc()} {
		_, rest, ok := bytes.Cut(got, []byte("<!-- "+name+": "))
		_, rest, ok2 := bytes.Cut(rest, []byte("-->\n"))
		old, _, ok3 := bytes.Cut(rest, []byte("<!-- end of "+name+" -->"))
		if !ok || !ok2 || !ok3 {
			t.Fatalf("%s has no place for the table of %s", formatDoc, name)
		}
		start := len(got) - len(rest)
		got = append(append(bytes.Clone(got[:start]), table...), got[start+len(old):]...)
	}
	if bytes.Equal(got, doc) {
		return
	}
	if goldentest.Updating(t) {
		if err := os.WriteFile(formatDoc, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is out of date: go test ./internal/recording -run TestFormatDocument -update", formatDoc)
}

// The example of the document is in the text form.
func TestDocumentExample(t *testing.T) {
	doc, err := os.ReadFile(formatDoc)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := bytes.Cut(doc, []byte("```\n"))
	example, _, ok2 := bytes.Cut(rest, []byte("```\n"))
	if !ok || !ok2 {
		t.Fatal("there is no example")
	}
	events, err := ParseText(bytes.NewReader(example))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for i := range events {
		out = FormatEvent(out, uint64(i), &events[i])
	}
	if !bytes.Equal(out, example) {
		t.Errorf("the example is printed as\n%s", out)
	}
}
