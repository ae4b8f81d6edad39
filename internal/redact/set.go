package redact

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

const (
	// MinLength is the length below which a value is not replaced: it would
	// be found everywhere, by chance.
	MinLength = 6
	// minAnchor is the shortest pattern that can be searched for.
	minAnchor = 4
)

// Secret is a value that must not leave, with a name to call it by.
type Secret struct {
	Name string
	// Source says where it was found: "environment", "--secret", …
	Source string
	// Rule is the row of the table of shapes that found it, "" for one that its name told.
	Rule  string
	Value string
	// stand is the placeholder.
	stand string
}

// Set searches for all forms of some secrets.
type Set struct {
	Secrets []Secret
	// Left are those that can't be replaced, with the reason.
	Left     []Left
	patterns []pattern
	byAnchor map[uint32][]int // patterns by their first four bytes, longest first
	byTail   map[uint32][]int // and by their last
	filter   [1024]uint64     // a bit for each hash of those
	longest  int
	windows  map[uint64]window // every eight bytes of the values
}

// Stands says whether a text holds a value of the set, or a placeholder.
func (s *Set) Stands(text string) bool {
	return slices.ContainsFunc(s.Secrets, func(x Secret) bool { return strings.Contains(text, x.Value) || strings.Contains(text, x.stand) })
}

// Left is a secret that is not replaced.
type Left struct{ Name, Why string }

type window struct {
	secret int
	to     uint64
}

// NewSet prepares the search for secrets. The same value is searched once,
// under its first name.
func NewSet(secrets []Secret) *Set {
	s := &Set{byAnchor: map[uint32][]int{}, byTail: map[uint32][]int{}, windows: map[uint64]window{}}
	seen := map[string]bool{}
	for _, x := range secrets {
		switch {
		case seen[x.Value]:
			continue
		case len(x.Value) < MinLength:
			s.Left = append(s.Left, Left{x.Name, fmt.Sprintf("shorter than %d characters", MinLength)})
		default:
			s.Secrets = append(s.Secrets, x)
		}
		seen[x.Value] = true
	}
	s.choose()
	for i := range s.Secrets {
		x := &s.Secrets[i]
		s.patterns = append(s.patterns, forms(i, x.Value, x.stand)...)
		for _, v := range variants(x.Value, x.stand) {
			for at := 0; at+8 <= len(v.value); at++ {
				from := binary.LittleEndian.Uint64([]byte(v.value[at : at+8]))
				to := binary.LittleEndian.Uint64([]byte(v.stand[at : at+8]))
				if _, ok := s.windows[from]; !ok && from != to {
					s.windows[from] = window{i, to}
				}
			}
		}
	}
	slices.SortStableFunc(s.patterns, func(a, b pattern) int { return len(b.from) - len(a.from) })
	for i := range s.patterns {
		p := &s.patterns[i]
		a := binary.LittleEndian.Uint32(p.from)
		s.byAnchor[a] = append(s.byAnchor[a], i)
		z := binary.LittleEndian.Uint32(p.from[len(p.from)-minAnchor:])
		s.byTail[z] = append(s.byTail[z], i)
		for _, h := range []uint32{anchorHash(a), anchorHash(z)} {
			s.filter[h/64] |= 1 << (h % 64)
		}
		s.longest = max(s.longest, len(p.from)+8)
	}
	return s
}

func anchorHash(v uint32) uint32 { return v * 2654435761 >> 16 }

// choose makes the placeholders: those of short secrets first, since a longer
// one may hold them, all different, and none with a secret inside.
func (s *Set) choose() {
	order := make([]int, len(s.Secrets))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(s.Secrets[a].Value) - len(s.Secrets[b].Value) })
	taken := map[string]bool{}
	drop := map[int]bool{}
	for n, i := range order {
		x := &s.Secrets[i]
		known := make([]byte, len(x.Value))
		for _, j := range order[:n] {
			short := &s.Secrets[j]
			if drop[j] || len(short.Value) == len(x.Value) {
				continue
			}
			for at := 0; ; {
				k := strings.Index(x.Value[at:], short.Value)
				if k < 0 {
					break
				}
				copy(known[at+k:], short.stand)
				at += k + len(short.Value)
			}
		}
		const tries = 10000
		variant := 0
		for ; variant < tries; variant++ {
			x.stand = placeholder(x.Value, known, variant)
			if !taken[x.stand] && !s.holdsSecret(x.stand) {
				break
			}
		}
		if variant == tries {
			drop[i] = true
			s.Left = append(s.Left, Left{x.Name, "there is no letter or digit in it to replace"})
			continue
		}
		taken[x.stand] = true
	}
	kept := s.Secrets[:0:0]
	for i, x := range s.Secrets {
		if !drop[i] {
			kept = append(kept, x)
		}
	}
	s.Secrets = kept
}

func (s *Set) holdsSecret(text string) bool {
	return slices.ContainsFunc(s.Secrets, func(x Secret) bool { return strings.Contains(text, x.Value) })
}

// Match is a place where a secret stands.
type Match struct {
	Secret int // in Set.Secrets
	Form   string
	Off    int
	To     []byte // what replaces it, from Off on
}

// Find calls found for every place in data where a secret stands in one of
// its forms, in ascending order and without overlap.
func (s *Set) Find(data []byte, found func(Match)) {
	if len(s.patterns) == 0 {
		return
	}
	free := 0 // what lies before is part of a match already
	for i := 0; i+4 <= len(data); i++ {
		v := binary.LittleEndian.Uint32(data[i:])
		h := anchorHash(v)
		if s.filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, n := range s.byAnchor[v] {
			m, ok := s.patterns[n].at(data, i)
			if !ok || m.Off < free {
				continue
			}
			found(m)
			free = m.Off + len(m.To)
			i = max(i, free-1)
			break
		}
	}
}

// Replace returns text with every secret in it replaced, and how often that
// of each number was.
func (s *Set) Replace(text string, count func(secret int)) string {
	out := text
	var b []byte
	s.Find([]byte(text), func(m Match) {
		if b == nil {
			b = []byte(text)
		}
		copy(b[m.Off:], m.To)
		count(m.Secret)
	})
	if b != nil {
		out = string(b)
	}
	return out
}

// Begin finds the beginning of a secret, of at least min bytes, at the end of
// data, where the rest was cut off.
func (s *Set) Begin(data []byte, min int) (Match, bool) {
	for i := max(0, len(data)-s.longest); i+min <= len(data); i++ {
		a := binary.LittleEndian.Uint32(data[i:])
		if h := anchorHash(a); s.filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, n := range s.byAnchor[a] {
			if p := &s.patterns[n]; bytes.HasPrefix(p.from, data[i:]) {
				return Match{p.secret, p.form, i, p.to[:len(data)-i]}, true
			}
		}
	}
	return Match{}, false
}

// End finds the end of a secret, of at least min bytes, at the beginning of
// data.
func (s *Set) End(data []byte, min int) (Match, bool) {
	for n := min; n <= len(data) && n < s.longest; n++ {
		a := binary.LittleEndian.Uint32(data[n-minAnchor:])
		if h := anchorHash(a); s.filter[h/64]&(1<<(h%64)) == 0 {
			continue
		}
		for _, k := range s.byTail[a] {
			if p := &s.patterns[k]; n < len(p.from) && bytes.HasSuffix(p.from, data[:n]) {
				return Match{p.secret, p.form, 0, p.to[len(p.to)-n:]}, true
			}
		}
	}
	return Match{}, false
}

// at says whether the pattern's from stands in data at i, and what replaces
// it.
func (p *pattern) at(data []byte, i int) (Match, bool) {
	if !bytes.HasPrefix(data[i:], p.from) {
		return Match{}, false
	}
	if p.alphabet == "" {
		return Match{p.secret, p.form, i, p.to}, true
	}
	// The bits of the value from its first to its last, so many a character.
	first := i*p.bits - p.lead*8
	last := first + len(p.fromValue)*8
	if first < 0 {
		return Match{}, false
	}
	from, to := first/p.bits, (last+p.bits-1)/p.bits
	if to > len(data) {
		return Match{}, false
	}
	out := slices.Clone(data[from:to])
	for bit := first; bit < last; bit++ {
		c := bit / p.bits
		if c >= i && c < i+len(p.from) {
			continue
		}
		v, place := p.digit(data[c]), p.bits-1-bit%p.bits
		k := bit - first
		want := p.fromValue[k/8] >> (7 - k%8) & 1
		if v < 0 || byte(v)>>place&1 != want {
			return Match{}, false
		}
		put := p.toValue[k/8] >> (7 - k%8) & 1
		u := p.digit(out[c-from])
		u = u&^(1<<place) | int(put)<<place
		out[c-from] = p.letter(u, data[c])
	}
	copy(out[i-from:], p.to)
	return Match{p.secret, p.form, from, out}, true
}

// letter is the character of six bits, in the alphabet of the character that
// it replaces.
func (p *pattern) letter(v int, old byte) byte {
	switch {
	case p.bits == 6 && (old == '+' || old == '/'):
		return base64Std[v]
	case p.bits == 6 && (old == '-' || old == '_'):
		return base64URL[v]
	}
	return p.alphabet[v]
}

// digit is the value of a character of an encoding, -1 for none.
func (p *pattern) digit(c byte) int {
	if p.bits == 6 {
		return sextet(c)
	}
	return strings.IndexByte(p.alphabet, c)
}

// sextet is the value of a character in either alphabet of base64, -1 for none.
func sextet(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case isDigit(c):
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return -1
}

// Pieces replaces parts of secrets, of eight bytes, in registers and in what
// was saved of them: a program that copies a value has pieces of it there.
// It returns nil where there is none.
func (s *Set) Pieces(data []byte, count func(secret int)) []byte {
	if len(s.windows) == 0 {
		return nil
	}
	var out []byte
	for i := 0; i+8 <= len(data); {
		w, ok := s.windows[binary.LittleEndian.Uint64(data[i:])]
		if !ok {
			i++
			continue
		}
		if out == nil {
			out = slices.Clone(data)
		}
		binary.LittleEndian.PutUint64(out[i:], w.to)
		count(w.secret)
		i += 8
	}
	return out
}

// Word replaces a register's value if it is a part of a secret.
func (s *Set) Word(v uint64) (to uint64, secret int, ok bool) {
	w, ok := s.windows[v]
	return w.to, w.secret, ok
}
