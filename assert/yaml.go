package assert

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"pyrr/internal/lazyregexp"
)

// This file is the only one that knows the YAML library.

type nodeKind uint8

const (
	scalarNode nodeKind = iota
	listNode
	mapNode
)

func (k nodeKind) String() string { return [...]string{"a value", "a list", "a map"}[k] }

// node is a part of a YAML document, aliases resolved.
type node struct {
	kind  nodeKind
	tag   string // !!str, !!int, !!bool, !!null, …
	value string // of a scalar
	items []*node
	keys  []*node // of a map, in order; items are the values
	line  int     // from 1
	col   int     // from 1, in characters
	// quote is the character that a scalar is quoted with, '|' or '>' for a
	// block, 0 for none.
	quote byte
}

// Limits of a spec file.
const (
	maxSpecSize = 1 << 20
	maxNodes    = 100_000
	maxDepth    = 50
)

// document is a parsed file.
type document struct {
	file  string
	lines []string
	root  *node
	errs  Errors
}

func (d *document) source(line int) string {
	if line < 1 || line > len(d.lines) {
		return ""
	}
	return d.lines[line-1]
}

func (d *document) fail(p Place, hint, format string, args ...any) {
	d.errs.add(&SyntaxError{File: d.file, Place: p, Source: d.source(p.Line), Msg: fmt.Sprintf(format, args...), Hint: hint})
}

var yamlLine = lazyregexp.New(`^yaml: (?:line (\d+): )?(.*)`)

// parseDocument parses YAML. What is wrong goes into errs.
func parseDocument(file string, text []byte) (d *document) {
	d = &document{file: file}
	if len(text) > maxSpecSize {
		d.fail(Place{Line: 1, Col: 1}, "", "the file is larger than 1 MiB")
		return d
	}
	if i := invalidUTF8(text); i >= 0 {
		line := bytes.Count(text[:i], []byte("\n")) + 1
		d.fail(Place{Line: line, Col: 1}, "", "the file is not UTF-8")
		return d
	}
	d.lines = strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
	for i, l := range d.lines {
		d.lines[i] = strings.TrimSuffix(l, "\r")
	}
	defer func() {
		if r := recover(); r != nil {
			d.root = nil
			d.fail(Place{Line: 1, Col: 1}, "", "the file can't be read as YAML: %v", r)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var y, second yaml.Node
	if err := dec.Decode(&y); errors.Is(err, io.EOF) {
		d.fail(Place{Line: 1, Col: 1}, "", "the file is empty")
		return d
	} else if err != nil {
		d.yamlError(err)
		return d
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		d.fail(Place{Line: second.Line, Col: 1, Len: 3}, "", "a second document begins here; a spec is one file")
	case !errors.Is(err, io.EOF):
		d.yamlError(err)
	}
	if len(d.errs) > 0 {
		return d
	}
	c := converter{d: d}
	if d.root = c.convert(&y, 0); d.root == nil && len(d.errs) == 0 {
		d.fail(Place{Line: 1, Col: 1}, "", "the file is empty")
	}
	return d
}

func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

func (d *document) yamlError(err error) {
	m := yamlLine().FindStringSubmatch(err.Error())
	if m == nil {
		d.fail(Place{Line: 1, Col: 1}, "", "%v", err)
		return
	}
	line, _ := strconv.Atoi(m[1])
	if strings.HasPrefix(m[2], "did not find expected") && m[1] != "" {
		line++ // the library counts these from 0
	}
	line = min(max(line, 1), max(len(d.lines), 1))
	src := d.source(line)
	text := strings.TrimLeftFunc(src, unicode.IsSpace)
	col := utf8.RuneCountInString(src) - utf8.RuneCountInString(text) + 1
	if lead := src[:len(src)-len(text)]; strings.Contains(lead, "\t") {
		d.fail(Place{Line: line, Col: 1, Len: col - 1}, "indent by blanks", "not YAML: a tab in the indentation")
		return
	}
	d.fail(Place{Line: line, Col: col, Len: utf8.RuneCountInString(text)}, "", "not YAML: %s", m[2])
}

type converter struct {
	d *document
	n int
}

func (c *converter) convert(y *yaml.Node, depth int) *node {
	if c.n++; c.n > maxNodes || depth > maxDepth {
		if c.n <= maxNodes+1 || depth > maxDepth {
			c.d.fail(Place{Line: y.Line, Col: y.Column}, "", "the file is nested too deep or too large")
		}
		c.n = max(c.n, maxNodes+2)
		return nil
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return nil
		}
		return c.convert(y.Content[0], depth+1)
	case yaml.AliasNode:
		return c.convert(y.Alias, depth+1)
	}
	n := &node{tag: y.ShortTag(), value: y.Value, line: y.Line, col: y.Column}
	switch {
	case y.Style&yaml.DoubleQuotedStyle != 0:
		n.quote = '"'
	case y.Style&yaml.SingleQuotedStyle != 0:
		n.quote = '\''
	case y.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		n.quote = '|'
	}
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = mapNode
		for i := 0; i+1 < len(y.Content); i += 2 {
			k, v := c.convert(y.Content[i], depth+1), c.convert(y.Content[i+1], depth+1)
			if k == nil || v == nil {
				return nil
			}
			if k.kind != scalarNode {
				c.d.fail(c.d.place(k), "", "a key must be a word")
				continue
			}
			n.keys, n.items = append(n.keys, k), append(n.items, v)
		}
	case yaml.SequenceNode:
		n.kind = listNode
		for _, y := range y.Content {
			item := c.convert(y, depth+1)
			if item == nil {
				return nil
			}
			n.items = append(n.items, item)
		}
	}
	return n
}

// place is where a node stands. A map stands at its first key.
func (d *document) place(n *node) Place {
	p := Place{Line: n.line, Col: n.col, Len: 1}
	if n.kind == scalarNode {
		end := d.locate(n, len(n.value))
		if p = d.locate(n, 0); end.Line == p.Line && end.Col > p.Col {
			p.Len = end.Col - p.Col
		} else if end.Line > p.Line {
			p.Len = utf8.RuneCountInString(d.source(p.Line)) - p.Col + 1
		}
	}
	return p
}

// span is where a part of a scalar stands, given as bytes of its value.
func (d *document) span(n *node, start, end int) Place {
	p, q := d.locate(n, start), d.locate(n, end)
	p.Len = 1
	if q.Line == p.Line && q.Col > p.Col {
		p.Len = q.Col - p.Col
	} else if q.Line > p.Line {
		p.Len = max(1, utf8.RuneCountInString(d.source(p.Line))-p.Col+1)
	}
	return p
}

// locate finds the place of a byte of a scalar's value. It follows the value
// and the file side by side: where the value has a blank the file may have a
// line end, and at a quoted character both are given up, and the place is the
// last one known.
func (d *document) locate(n *node, offset int) Place {
	line, col := n.line, n.col
	src := []rune(d.source(line))
	nextLine := func() bool {
		if line >= len(d.lines) {
			return false
		}
		line++
		src, col = []rune(d.source(line)), 1
		for col <= len(src) && unicode.IsSpace(src[col-1]) {
			col++
		}
		return true
	}
	switch n.quote {
	case '"', '\'':
		col++
	case '|':
		nextLine()
	}
	for i, r := range n.value {
		if i >= offset {
			break
		}
		if unicode.IsSpace(r) && (col > len(src) || strings.TrimSpace(string(src[col-1:])) == "") {
			for nextLine() && col > len(src) {
			}
			continue
		}
		if col > len(src) || src[col-1] != r {
			break
		}
		col++
	}
	return Place{Line: line, Col: min(col, len(src)+1)}
}
