package recording

import (
	"cmp"
	"errors"
	"slices"
)

// Of a recording that was cut, the pages of mapped files that its test does not touch
// are zeros. Which they are is noted, so that the file itself, with the same pages made
// zeros, proves to be what was kept: a thin recording finds it.

// File is an entry of the store of mapped files, as the index holds it.
type File struct {
	ID   FileID `json:"id"`
	Path string `json:"path"`
	// Dev, Ino, Size and Mtime (ns since the epoch) identify the file on the
	// machine that recorded; Ino 0 means that the content came from elsewhere.
	Dev   uint64 `json:"dev,omitempty"`
	Ino   uint64 `json:"ino,omitempty"`
	Size  uint64 `json:"size"`
	Mtime int64  `json:"mtime,omitempty"`
	// Want is how many bytes from the start the recording needs, Kept how
	// many it holds.
	Want uint64 `json:"want"`
	Kept uint64 `json:"kept"`
	// SHA256 is of the bytes kept, once they are complete.
	SHA256 string `json:"sha256,omitempty"`
	// Of is the SHA-256 of the first Want bytes of the file that was mapped, where
	// pages of them were made zeros since, which nothing needs; Zeros says which:
	// numbers of pages of 4096 bytes, by turns of those that are the file's and of
	// those that are zeros.
	Of    string   `json:"of,omitempty"`
	Zeros []uint32 `json:"zeros,omitempty"`
	// Same names the file whose stored bytes are those of this one too.
	Same FileID `json:"same,omitempty"`
	// Unstable says why the bytes kept may not be those that were mapped.
	Unstable string `json:"unstable,omitempty"`
}

// pageSize is that of the machine's pages.
const pageSize = 4096

// maxZeros bounds the numbers in File.Zeros: what has more keeps its content.
const maxZeros = 4096

// span is bytes of a file, from one offset up to another.
type span struct{ from, to uint64 }

// zeroSpans are the spans of f that were made zeros.
func (f *File) zeroSpans() []span {
	var out []span
	at := uint64(0)
	for i, n := range f.Zeros {
		to := at + uint64(n)*pageSize
		if i%2 == 1 {
			out = append(out, span{at, min(to, f.Want)})
		}
		at = to
	}
	return out
}

func (f *File) checkZeros() error {
	if len(f.Zeros) > maxZeros || (f.Of == "") != (len(f.Zeros) == 0) || f.Of != "" && !isSum(f.Of) {
		return errors.New("zeros of no file")
	}
	at := uint64(0)
	for i, n := range f.Zeros {
		if n == 0 && i > 0 || at >= f.Want {
			return errors.New("zeros behind its end")
		}
		at += uint64(n) * pageSize
	}
	return nil
}

// isSum says whether s is a SHA-256 as files are named by it.
func isSum(s string) bool {
	return len(s) == 64 && !slices.ContainsFunc([]byte(s), func(c byte) bool { return (c < '0' || c > '9') && (c < 'a' || c > 'f') })
}

// IsSharedName says whether a name is one of a file in the folder SharedDir.
func IsSharedName(s string) bool { return isSum(s) }

// noteZeros notes what patches made of a file whose bytes had the checksum was.
func (f *File) noteZeros(was string, patches []Patch) {
	if len(patches) == 0 {
		return
	}
	spans := f.zeroSpans()
	of := cmp.Or(f.Of, was)
	f.Of, f.Zeros = "", nil
	for _, p := range patches {
		if !isZero(p.Data) || p.Off%pageSize != 0 || p.Off+uint64(len(p.Data)) < f.Want && len(p.Data)%pageSize != 0 {
			return // other bytes than the file's
		}
		spans = append(spans, span{p.Off, min(p.Off+uint64(len(p.Data)), f.Want)})
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	pages := func(n uint64) uint32 { return uint32((n + pageSize - 1) / pageSize) }
	var zeros []uint32
	for i, at := 0, uint64(0); i < len(spans); {
		s := spans[i]
		for i++; i < len(spans) && spans[i].from <= s.to; i++ {
			s.to = max(s.to, spans[i].to)
		}
		if s.from >= s.to {
			continue
		}
		zeros = append(zeros, pages(s.from-at), pages(s.to-s.from))
		at = s.to
	}
	if len(zeros) > 0 && len(zeros) <= maxZeros && isSum(of) {
		f.Of, f.Zeros = of, zeros
	}
}

// blank makes zeros of what is to be zeros in a block that begins at first.
func (b *blob) blank(raw []byte, first uint64) {
	end := first + uint64(len(raw))
	i, _ := slices.BinarySearchFunc(b.zeros, first, func(s span, at uint64) int {
		if s.to <= at {
			return -1
		}
		return 1
	})
	for ; i < len(b.zeros) && b.zeros[i].from < end; i++ {
		s := b.zeros[i]
		clear(raw[max(s.from, first)-first : min(s.to, end)-first])
	}
}
