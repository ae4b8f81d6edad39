package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/cli"
	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// TestPicture compares the README's picture (scripts/picture.py draws it) with what
// explain says today of the same program: the sentence, and what each thread does.
func TestPicture(t *testing.T) {
	probe.Require(t)
	text, err := os.ReadFile("../../docs/explain.svg")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Lines []struct {
			Y    string `xml:"y,attr"`
			Text string `xml:",chardata"`
		} `xml:"g>text"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	var picture strings.Builder
	last := ""
	for _, l := range doc.Lines {
		if l.Y != last && last != "" {
			picture.WriteByte('\n')
		}
		last = l.Y
		picture.WriteString(l.Text)
	}
	program, err := filepath.Abs("../../fixtures/two_locks.py")
	if err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(t.TempDir(), "two_locks.pyrr.zip")
	if status, _, errs := capturePyrr("record", "--timeout", setup.Timeout("4s"), "-o", rec, "--", "python3", program); status != cli.ExitTimeout {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	status, out, errs := capturePyrr("explain", rec)
	if status != 0 {
		t.Fatalf("explain: status %d\n%s", status, errs)
	}
	sentence, _, _ := strings.Cut(out, "\n")
	plain := strings.Join(strings.Fields(picture.String()), " ")
	if !strings.Contains(plain, sentence) {
		t.Errorf("explain says\n%s\nand the picture\n%s", sentence, picture.String())
	}
	for _, want := range regexp.MustCompile(`(?m)^ +(?:e\d+ +)?((?:pay|save|MainThread) (?:took|joins).*?)(?:, for .*)?$`).FindAllStringSubmatch(out, -1) {
		if !strings.Contains(plain, want[1]) {
			t.Errorf("the picture has no %q", want[1])
		}
	}
}
