package console

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/lazyregexp"
)

// Complete lists what a line that was begun may become.
func (c *Console) Complete(line string) []string {
	name, rest, more := strings.Cut(line, " ")
	var out []string
	if !more {
		for i := range consoleCommands {
			if strings.HasPrefix(consoleCommands[i].name, name) {
				out = append(out, consoleCommands[i].name)
			}
		}
		slices.Sort(out)
		return out
	}
	cmd, err := findConsole(name)
	if err != nil {
		return nil
	}
	for _, w := range cmd.words {
		if strings.HasPrefix(w, rest) {
			out = append(out, name+" "+w)
		}
	}
	// The word that was begun is behind the last blank or operator.
	at := strings.LastIndexAny(rest, " ,(=<>+*&!") + 1
	if strings.LastIndexByte(rest[at:], '[') > strings.LastIndexByte(rest[at:], ']') {
		at += strings.LastIndexByte(rest[at:], '[') + 1
	}
	for _, w := range c.completeWord(cmd, rest[at:]) {
		out = append(out, name+" "+rest[:at]+w)
	}
	return slices.Compact(out)
}

// What follows some commands.
var (
	takeExpressions = []string{"print", "last", "watch", "display", "whatis", "ptype", "printf", "x"}
	takePlaces      = []string{"break", "tbreak", "until", "list", "dprintf"}
)

// completeWord lists what a word of a command's arguments may become.
func (c *Console) completeWord(cmd *consoleCommand, word string) []string {
	var out []string
	switch {
	case slices.Contains(takeExpressions, cmd.name):
		owner, begun := "", word
		if i := strings.LastIndexByte(word, '.'); i > 0 {
			owner, begun = word[:i], word[i+1:]
		}
		names := c.localNames()
		if owner != "" {
			names = c.attributes(owner)
			owner += "."
		}
		for _, n := range names {
			if strings.HasPrefix(n, begun) {
				out = append(out, owner+n)
			}
		}
	case slices.Contains(takePlaces, cmd.name):
		out = c.completePlace(word)
	}
	slices.Sort(out)
	return out
}

// attributes lists those of the object that an expression leads to.
func (c *Console) attributes(expr string) []string {
	parts, _ := c.parts(expr) // those before an error
	var out []string
	for _, p := range parts {
		if p.Name != "" && p.Name[0] != '[' && p.Name[0] != '{' && p.Name[0] != '(' {
			out = append(out, p.Name)
		}
	}
	return out
}

// maxPlaces bounds what is listed.
const maxPlaces = 200

var definition = lazyregexp.New(`(?m)^([ \t]*)(?:async[ \t]+def|def|class)[ \t]+([\pL_][\pL\pN_]*)`)

// completePlace lists files of the recording, and behind FILE: its functions, with
// their lines.
func (c *Console) completePlace(word string) []string {
	sources, err := c.rec.Sources()
	if err != nil {
		return nil
	}
	var out []string
	file, begun, inFile := strings.Cut(word, ":")
	for name, text := range sources {
		if len(out) >= maxPlaces {
			break
		}
		if !inFile {
			if base := path.Base(name); strings.HasPrefix(base, word) && word != "" && !slices.Contains(out, base+":") {
				out = append(out, base+":")
			}
			continue
		}
		if name != file && !strings.HasSuffix(name, "/"+file) {
			continue
		}
		for _, m := range definition().FindAllSubmatchIndex(text, maxPlaces) {
			fn := string(text[m[4]:m[5]])
			line := 1 + bytes.Count(text[:m[0]], []byte("\n"))
			for _, cand := range []string{":" + fn, strconv.Itoa(line)} {
				if strings.HasPrefix(cand, begun) && !bytes.Contains(text[m[0]:m[4]], []byte("class")) {
					out = append(out, file+":"+cand)
				}
			}
		}
	}
	return out
}
