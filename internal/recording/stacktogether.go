package recording

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/klauspost/compress/zstd"

	"pyrr/internal/stack"
)

// The index of a short recording has a few kilobytes. Its sections lie in one chunk,
// which then has one header, and takes what stands in several of them once; and facts
// name frames by their numbers in the index.

// smallSection is the most that a section has which shares a chunk, manyTogether the most
// of such a chunk.
const (
	smallSection = 64 << 10
	manyTogether = 256 << 10
)

// parts are sections that are to be written in one chunk.
type parts struct {
	b []byte
	n int
	// The only one, which needs no other.
	raw   []byte
	first uint64
	count int
}

// take adds a section; it reports false for one that has a chunk of its own.
func (p *parts) take(w *StackWriter, raw []byte, first uint64, count int) bool {
	if p == nil {
		return false
	}
	if len(raw) > smallSection || len(p.b)+len(raw) > manyTogether {
		p.flush(w)
	}
	if len(raw) > smallSection {
		return false
	}
	if p.n++; p.n == 1 {
		p.raw, p.first, p.count = bytes.Clone(raw), first, count
	}
	p.b = binary.AppendUvarint(p.b, first)
	p.b = binary.AppendUvarint(p.b, uint64(count))
	p.b = appendString(p.b, string(raw))
	return true
}

// flush writes what was taken. The best level would make little of it, and takes 34 MB of
// tables that are empty.
func (p *parts) flush(w *StackWriter) {
	if p.n == 0 || w.err != nil {
		return
	}
	enc, err := newEncoderLevel(zstd.SpeedBetterCompression)
	if err != nil {
		w.err = err
		return
	}
	defer enc.Close()
	if p.n == 1 {
		w.packed = w.write(enc, p.raw, p.first, p.count)
	} else {
		w.packed = w.write(enc, append([]byte{sectionTogether}, p.b...), 0, p.n)
	}
	*p = parts{}
}

// together takes in the sections of a chunk that has several.
func (d *indexDecoder) together(h *chunkHeader, raw []byte) error {
	p := parser{b: raw}
	for range h.count {
		one := *h
		one.first = p.uvarint()
		count := p.uvarint()
		section := p.bytes()
		switch {
		case p.err != nil:
			return p.err
		case len(section) == 0 || count > uint64(len(section)):
			return fmt.Errorf("a section of %d entries in %d bytes", count, len(section))
		case section[0] == sectionEvents || section[0] == sectionTogether || section[0] == sectionEnd:
			return fmt.Errorf("a section of kind %d among others", section[0])
		}
		one.count = uint32(count)
		if err := d.section(&one, 0, section); err != nil {
			return err
		}
	}
	if len(p.b) != 0 {
		return fmt.Errorf("%d bytes too many", len(p.b))
	}
	return nil
}

// frameText is how a frame stands in facts. In strings of JSON such quotes have a
// backslash before them.
var (
	frameText  = regexp.MustCompile(`"func":("(?:[^"\\]|\\.)*"),"file":("(?:[^"\\]|\\.)*"),"line":(\d{1,9})\b`)
	frameShort = regexp.MustCompile(`"f":(\d{1,9})\b`)
)

// shortFacts puts numbers in the places of the frames that facts name.
func (w *StackWriter) shortFacts(text []byte) []byte {
	type place struct {
		fn, file string
		line     int
	}
	known := map[place]uint32{}
	for i := range w.list {
		if f := &w.list[i]; f.kind == stack.Python {
			known[place{f.fn, f.file, f.line}] = uint32(i)
		}
	}
	return frameText.ReplaceAllFunc(text, func(m []byte) []byte {
		part := frameText.FindSubmatch(m)
		at := place{}
		if json.Unmarshal(part[1], &at.fn) != nil || json.Unmarshal(part[2], &at.file) != nil {
			return m
		}
		at.line, _ = strconv.Atoi(string(part[3]))
		id, ok := known[at]
		if !ok {
			if len(w.list) >= maxStackFrames/2 || len(at.fn) > maxStackText || len(at.file) > maxStackText {
				return m
			}
			id = w.Frame(&stack.Frame{Kind: stack.Python, Func: at.fn, File: at.file, Line: at.line})
			known[at] = id
		}
		return fmt.Appendf(nil, `"f":%d`, id)
	})
}

func (d *indexDecoder) facts(proc uint64, text []byte) error {
	if proc < 1 || proc > maxStreams || len(text) > maxFacts {
		return fmt.Errorf("facts of process %d, %d bytes", proc, len(text))
	}
	if d.factsSize += len(text); d.factsSize > maxAllFacts {
		return errOverlong
	}
	d.x.facts[int(proc)] = bytes.Clone(text)
	return nil
}

// expandFacts puts the frames back into the facts.
func (d *indexDecoder) expandFacts() error {
	d.factsSize = 0
	for proc, text := range d.x.facts {
		var out []byte
		last := 0
		for _, m := range frameShort.FindAllSubmatchIndex(text, -1) {
			n, _ := strconv.Atoi(string(text[m[2]:m[3]]))
			if n >= len(d.x.frames) {
				return fmt.Errorf("facts of process %d name frame %d of %d", proc, n, len(d.x.frames))
			}
			f := &d.x.frames[n]
			out = append(append(out, text[last:m[0]]...), `"func":`...)
			out = append(appendJSON(out, f.Func), `,"file":`...)
			out = fmt.Appendf(appendJSON(out, f.File), `,"line":%d`, f.Line)
			last = m[1]
			if d.factsSize+len(out) > maxAllFacts {
				return errOverlong
			}
		}
		if last == 0 {
			d.factsSize += len(text)
			continue
		}
		out = append(out, text[last:]...)
		d.factsSize += len(out)
		if d.x.facts[proc] = out; d.spend(0, 0, len(out)) != nil {
			return errors.New("its facts take too much memory")
		}
	}
	return nil
}

func appendJSON(b []byte, s string) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return append(b, `""`...)
	}
	return append(b, bytes.TrimSuffix(buf.Bytes(), []byte("\n"))...)
}
