package recording

import (
	"encoding/binary"

	"pyrr/internal/stack"
)

func (w *StackWriter) text(s string) uint64 {
	if len(s) > maxStackText {
		s = s[:maxStackText]
	}
	id, ok := w.strings[s]
	if !ok {
		id = uint32(len(w.texts))
		w.texts = append(w.texts, s)
		w.strings[s] = id
	}
	return uint64(id)
}

// section writes n entries in chunks of bounded size.
func (w *StackWriter) section(kind byte, from, n int, entry func(b []byte, i int, first bool) []byte) {
	b, first := []byte{kind}, from
	for i := from; i < n; i++ {
		b = entry(b, i, i == first)
		if len(b) >= chunkTarget || i == n-1 {
			w.chunk(b, uint64(first), i+1-first)
			b, first = b[:1], i+1
		}
	}
}

func (w *StackWriter) writeStrings() {
	w.section(sectionStrings, 1, len(w.texts), func(b []byte, i int, _ bool) []byte { return appendString(b, w.texts[i]) })
}

func (w *StackWriter) writeNodes() {
	last := uint32(0)
	w.section(sectionNodes, 1, len(w.tree), func(b []byte, i int, first bool) []byte {
		n := w.tree[i]
		if first {
			last = 0
		}
		b = binary.AppendUvarint(b, uint64(i)-uint64(n.parent)-1)
		b = appendSigned(b, int64(n.frame)-int64(last))
		last = n.frame
		return b
	})
}

func (w *StackWriter) writeFrames() {
	var fn, file, module, line int64
	w.section(sectionFrames, 0, len(w.list), func(b []byte, i int, first bool) []byte {
		f := &w.list[i]
		if first {
			fn, file, module, line = 0, 0, 0, 0
		}
		flags := byte(0)
		if f.kind == stack.C {
			flags |= frameC
		}
		if f.endLine != 0 || f.col != 0 || f.endCol != 0 {
			flags |= frameColumns
		}
		if f.module != "" || f.offset != 0 {
			flags |= frameModule
		}
		if f.err != "" {
			flags |= frameErr
		}
		if f.eval {
			flags |= frameEval
		}
		b = append(b, flags)
		delta := func(last *int64, v int64) {
			b = appendSigned(b, v-*last)
			*last = v
		}
		delta(&fn, int64(w.text(f.fn)))
		delta(&file, int64(w.text(f.file)))
		delta(&line, int64(f.line))
		if flags&frameColumns != 0 {
			b = appendSigned(b, int64(f.endLine-f.line))
			b = appendSigned(b, int64(f.col))
			b = appendSigned(b, int64(f.endCol))
		}
		if flags&frameModule != 0 {
			delta(&module, int64(w.text(f.module)))
			b = binary.AppendUvarint(b, f.offset)
		}
		if flags&frameErr != 0 {
			b = binary.AppendUvarint(b, w.text(f.err))
		}
		return b
	})
}

func (w *StackWriter) writeNames() {
	for _, proc := range w.order {
		names := w.names[proc]
		w.section(sectionNames, 0, len(names), func(b []byte, i int, first bool) []byte {
			if first {
				b = binary.AppendUvarint(b, uint64(proc))
			}
			n := &names[i]
			b = appendSigned(b, int64(n.tid))
			b = binary.AppendUvarint(b, n.event)
			return binary.AppendUvarint(b, w.text(n.name))
		})
	}
}

func (w *StackWriter) writeFacts() {
	for _, proc := range w.order {
		if text := w.facts[proc]; text != nil {
			w.chunk(append(binary.AppendUvarint([]byte{sectionFacts}, uint64(proc)), w.shortFacts(text)...), 0, 1)
		}
	}
}
