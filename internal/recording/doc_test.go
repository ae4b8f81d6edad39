package recording

import (
	"bytes"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"testing"
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

// TestFormatDocument holds the tables of docs/format.md against the code.
func TestFormatDocument(t *testing.T) {
	doc, err := os.ReadFile(formatDoc)
	if err != nil {
		t.Fatal(err)
	}
	got := doc
	for name, table := range map[string]string{"fields": fieldsDoc(), "kinds": kindsDoc()} {
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
	if mayUpdate(t) {
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
