package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// writeSection puts a section into the file in place of the one with that heading, and
// into kept, from where the next table of all takes it. Where file is "-" it only
// writes the section to standard output.
func writeSection(heading, kept, file, text string) error {
	if file == "-" {
		_, err := os.Stdout.WriteString(text)
		return err
	}
	doc, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	section := regexp.MustCompile(`(?s)\n## ` + regexp.QuoteMeta(heading) + `\n.*?(\n## |$)`)
	if n := len(section.FindAll(doc, -1)); n != 1 {
		return fmt.Errorf("%s: %d sections named %s, want one", file, n, heading)
	}
	doc = section.ReplaceAll(doc, []byte(strings.ReplaceAll(text, "$", "$$")+"$1"))
	if err := os.WriteFile(kept, []byte(text), 0o666); err != nil {
		return err
	}
	return os.WriteFile(file, doc, 0o666)
}
