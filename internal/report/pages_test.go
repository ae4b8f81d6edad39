package report

import (
	"bytes"
	"strings"
	"testing"

	"pyrr/assert"
)

func TestTAP(t *testing.T) {
	for name, run := range runs(t) {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := TAP(&b, run, false); err != nil {
				t.Fatal(err)
			}
			golden(t, "tap/"+name+".txt", b.String())
		})
	}
}

func TestHTML(t *testing.T) {
	eachRun(t, func(t *testing.T, name string, run *assert.Run) {
		var b bytes.Buffer
		if err := HTML(&b, run); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		for _, s := range run.Specs {
			if !strings.Contains(page, strings.ReplaceAll(s.Spec.File, "&", "&amp;")) {
				t.Errorf("%s is missing", s.Spec.File)
			}
		}
		for _, bad := range []string{"\x1b", "\u202e", "http://", "https://", "<script", "src="} {
			if strings.Contains(page, bad) {
				t.Errorf("the page holds %q", bad)
			}
		}
		golden(t, "html/"+name+".html", page[strings.Index(page, "<body>"):])
	})
}

func TestMarkdown(t *testing.T) {
	eachRun(t, func(t *testing.T, name string, run *assert.Run) {
		var b bytes.Buffer
		if err := Markdown(&b, run, MaxSummary); err != nil {
			t.Fatal(err)
		}
		golden(t, "markdown/"+name+".md", b.String())
	})
}

// TestMarkdownSize holds that a summary of thousands of failures fits, with
// the failures before the rest.
func TestMarkdownSize(t *testing.T) {
	run := runs(t)["failing"]
	var many []*assert.SpecResult
	for range 3000 {
		many = append(many, run.Specs...)
	}
	for _, most := range []int{MaxSummary, 10_000, 500, 10} {
		var b bytes.Buffer
		if err := Markdown(&b, &assert.Run{Specs: many}, most); err != nil {
			t.Fatal(err)
		}
		if b.Len() > most {
			t.Errorf("%d bytes, more than %d", b.Len(), most)
		}
		if most < 10_000 {
			continue
		}
		if b.Len() < most/2 {
			t.Errorf("only %d bytes of %d are used", b.Len(), most)
		}
		if !strings.Contains(b.String(), "more that did not fit here") || strings.Contains(b.String(), "### ????") && !strings.Contains(b.String(), "### FAIL") {
			t.Errorf("what failed is not first:\n%s", b.String()[:400])
		}
	}
}
