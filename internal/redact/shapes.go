package redact

import (
	"bytes"
	"encoding/binary"
	"strings"
	"sync"
)

const (
	// mostShape is the longest text that a rule looks at behind its anchor.
	mostShape = 40 << 10
	// mostKey is the longest key.
	mostKey = 64
	// nearby is where a rule looks for what has to stand close.
	nearby = 256
)

// anchors finds the rules by the first three bytes of what they begin with, in
// lower case.
type anchorIndex struct {
	filter [1024]uint64
	rules  map[uint32][]anchor
}

type anchor struct {
	text []byte
	rule int
}

var anchorsOf = sync.OnceValue(newAnchors)

func newAnchors() *anchorIndex {
	x := &anchorIndex{rules: map[uint32][]anchor{}}
	for i, r := range shapeRules {
		for _, a := range r.anchors {
			v := lower3([]byte(a))
			x.rules[v] = append(x.rules[v], anchor{[]byte(a), i})
			h := anchorHash(v)
			x.filter[h/64] |= 1 << (h % 64)
		}
	}
	return x
}

// lower3 is three bytes with the bit that tells small letters from capitals set.
func lower3(b []byte) uint32 {
	return (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16) | 0x202020
}

func foldedPrefix(data, lower []byte) bool {
	if len(data) < len(lower) {
		return false
	}
	for i, c := range lower {
		d := data[i]
		if d >= 'A' && d <= 'Z' {
			d |= 0x20
		}
		if d != c {
			return false
		}
	}
	return true
}

// Shape is a value that looks like a secret.
type Shape struct {
	Rule  string
	Value string
}

// Shapes calls found for all in data that looks like a secret. Where more data may
// follow, what reaches to the end is left for later. In the source of a program only
// what is a secret by its own characters counts.
func Shapes(data []byte, more, source bool, found func(Shape)) {
	index := anchorsOf()
	words := map[int]int{} // by rule, where the last key that was looked at ends
	for i := 0; i+4 <= len(data); i++ {
		v := binary.LittleEndian.Uint32(data[i:])&0xffffff | 0x202020
		h := anchorHash(v)
		if index.filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, a := range index.rules[v] {
			r := &shapeRules[a.rule]
			if source && !r.source || !foldedPrefix(data[i:], a.text) {
				continue
			}
			if r.key == nil {
				matchAt(a.rule, data, i, i, more, found)
				continue
			}
			if end, ok := words[a.rule]; ok && i < end {
				continue
			}
			start, end := wordAt(data, i)
			words[a.rule] = end
			if end-start <= mostKey && r.key(string(data[start:end])) {
				matchAt(a.rule, data, start, end, more, found)
			}
		}
	}
}

// wordAt is the key around a place.
func wordAt(data []byte, i int) (start, end int) {
	isWord := func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_' || c == '-' || c == '.'
	}
	for start = i; start > 0 && i-start <= mostKey && isWord(data[start-1]); start-- {
	}
	for end = i; end < len(data) && end-start <= mostKey && isWord(data[end]); end++ {
	}
	return start, end
}

// matchAt holds a rule against data: what it is about begins at start, and its pattern
// is held against what begins at from.
func matchAt(rule int, data []byte, start, from int, more bool, found func(Shape)) {
	r, c := &shapeRules[rule], &compiled()[rule]
	if !r.mayBegin(data, start) {
		return
	}
	rest := data[from:min(len(data), from+mostShape)]
	m := c.match.FindSubmatchIndex(rest)
	if m == nil || more && from+m[1] == len(data) {
		return
	}
	if c.close != nil && !c.close.Match(data[max(0, start-nearby):min(len(data), from+m[1]+nearby)]) {
		return
	}
	lo, hi := m[0], m[1]
	for g := 2; g+1 < len(m); g += 2 {
		if m[g] >= 0 {
			lo, hi = m[g], m[g+1]
			break
		}
	}
	value := string(rest[lo:hi])
	parts := []string{value}
	if r.parts != nil {
		parts = r.parts(value)
	}
	for _, p := range parts {
		if looksSecret(p) {
			found(Shape{r.name, p})
		}
	}
}

// mayBegin says whether the byte before a place lets the rule's text begin there.
func (r *shapeRule) mayBegin(data []byte, i int) bool {
	if r.before == "any" {
		return true
	}
	if i == 0 {
		return r.before == "" || strings.Contains(r.before, "\n")
	}
	c := data[i-1]
	if r.before == "" {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '_')
	}
	return strings.IndexByte(r.before, c) >= 0
}

const (
	// heldOfStream is how much of what came from a descriptor is looked at at a time,
	// and keptOfStream how much of it is kept for what comes after.
	heldOfStream = 128 << 10
	keptOfStream = 16 << 10
)

// shapeStream looks for shapes in what comes in pieces.
type shapeStream struct {
	source bool
	held   []byte
	found  func(Shape)
}

func (s *shapeStream) add(data []byte) {
	for len(data) > 0 {
		n := min(len(data), heldOfStream)
		s.held = append(s.held, data[:n]...)
		data = data[n:]
		if len(s.held) >= heldOfStream {
			Shapes(s.held, true, s.source, s.found)
			s.held = append([]byte(nil), s.held[len(s.held)-keptOfStream:]...)
		}
	}
}

func (s *shapeStream) end() {
	Shapes(s.held, false, s.source, s.found)
	s.held = nil
}

// isSource says whether a file's name is that of a program, in which names and their
// values are code.
func isSource(name string) bool {
	for _, suffix := range []string{".py", ".pyc", ".pyi", ".pyx", ".so", ".c", ".h", ".js", ".go", ".rs"} {
		if strings.HasSuffix(name, suffix) || bytes.Contains([]byte(name), []byte(suffix+".")) {
			return true
		}
	}
	return false
}
