package recording

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// Apart is a packed recording taken apart: its own part, which is a recording too,
// a thin one, and the mapped files, which other recordings have as well.
type Apart struct {
	f     *os.File
	date  uint32
	own   []zipPart
	Files []FilePart
	Lacks []File // what the recording had no content of
}

// FilePart is the content of a mapped file in the shared form: its chunks, with
// number 0 for that of the file, so that it is the same in every recording.
type FilePart struct {
	File File
	Size int64
	src  io.ReaderAt
}

// Reader reads the part from its beginning.
func (p *FilePart) Reader() *io.SectionReader { return io.NewSectionReader(p.src, 0, p.Size) }

// TakeApart opens a packed recording and takes it apart. Files of less than least
// packed bytes stay in the own part, as do all but the most largest ones. An archive
// of which Assemble would make another one stays whole.
func TakeApart(path string, least int64, most int) (*Apart, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	if r.zip == nil {
		r.Close()
		return nil, fmt.Errorf("take %s apart: it is a folder, and not packed", path)
	}
	a, err := r.apart(most, func(_ File, size int64) bool { return size >= least })
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("take %s apart: %w", path, err)
	}
	return a, nil
}

// Thin writes the packed recording at path once more, without the contents that leave
// says, and returns the files that it lacks now, besides those that it lacked before.
// Which leave may be asked for have a SHA-256 to be found again by.
func Thin(path string, w io.Writer, leave func(File) bool) ([]File, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	fail := func(err error) ([]File, error) { return nil, fmt.Errorf("make a thin recording of %s: %w", path, err) }
	if r.zip == nil {
		return fail(errors.New("it is a folder, and not packed"))
	}
	a, err := r.apart(maxFiles, func(f File, _ int64) bool { return leave(f) })
	if err != nil {
		return fail(err)
	}
	if err := a.WriteOwn(w); err != nil {
		return fail(err)
	}
	var out []File
	for _, p := range a.Files {
		out = append(out, p.File)
	}
	return out, nil
}

// apart takes out at most so many files, the largest of those that choose says.
func (r *Recording) apart(most int, choose func(f File, size int64) bool) (*Apart, error) {
	st, err := r.zip.Stat()
	if err != nil {
		return nil, err
	}
	members, err := readZip(r.zip, st.Size())
	if err != nil {
		return nil, &DamagedError{File: "zip archive", Err: err}
	}
	a := &Apart{f: r.zip, date: members[0].date, Lacks: r.Lacks()}
	large := map[string]File{}
	for _, f := range r.files {
		if m, ok := r.members[blobName(f.ID)]; ok && f.shareable() && choose(f, m.size) {
			large[m.name] = f
		}
	}
	if len(large) > most {
		names := slices.SortedFunc(mapKeys(large), func(a, b string) int { return cmp.Compare(r.members[b].size, r.members[a].size) })
		for _, name := range names[most:] {
			delete(large, name)
		}
	}
	canonical := true
	var size int64
	for i, m := range members {
		size += m.size
		canonical = canonical && m.date == a.date && (i == 0 || byPlace(members[i-1].name, m.name) < 0)
	}
	end := make([]byte, 4)
	if _, err := r.zip.ReadAt(end, st.Size()-zipEndSize-zip64LocSize); err != nil && err != io.EOF {
		return nil, err
	}
	big := string(end) == string([]byte{'P', 'K', 6, 7})
	if !canonical || big != zipIsBig(len(members), size) {
		large = nil
	}
	for _, m := range members {
		src := io.NewSectionReader(r.zip, m.data, m.size)
		if f, ok := large[m.name]; ok {
			b := &blob{r: r, name: m.name, src: content{ReaderAt: src, size: m.size}, stream: uint32(f.ID)}
			if b.scan() == nil && b.end == m.size && b.size == f.Kept {
				a.Files = append(a.Files, FilePart{f, m.size, &renumbered{src, b.blocks, 0}})
				continue
			}
		}
		a.own = append(a.own, zipPart{m.name, m.size, m.crc, src})
	}
	return a, nil
}

func mapKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// shareable says whether the bytes kept are known by their checksum.
func (f *File) shareable() bool {
	return f.Same == 0 && len(f.SHA256) == 64 && f.Kept > 0 && f.Kept == f.Want
}

// Close closes the recording.
func (a *Apart) Close() error { return a.f.Close() }

// WriteOwn writes the own part.
func (a *Apart) WriteOwn(w io.Writer) error { return writeZip(w, a.date, a.own) }

// OwnSize is how many bytes that are.
func (a *Apart) OwnSize() int64 {
	var n counter
	parts := slices.Clone(a.own)
	var size int64
	for i := range parts {
		size += parts[i].size
		parts[i].src = strings.NewReader("")
	}
	if err := writeZipOf(&n, a.date, parts, zipIsBig(len(parts), size), false); err != nil {
		return 0
	}
	return int64(n) + size
}

type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

// Assemble writes the whole recording of which the file called own is the own part.
// part gives the parts that it lacks, in the shared form.
func Assemble(w io.Writer, own string, part func(File) (io.ReaderAt, int64, error)) error {
	r, err := Open(own)
	if err != nil {
		return err
	}
	defer r.Close()
	if r.zip == nil {
		return fmt.Errorf("assemble %s: it is a folder", own)
	}
	st, err := r.zip.Stat()
	if err != nil {
		return err
	}
	members, err := readZip(r.zip, st.Size())
	if err != nil {
		return &DamagedError{File: "zip archive", Err: err}
	}
	var parts []zipPart
	for _, m := range members {
		parts = append(parts, zipPart{m.name, m.size, m.crc, io.NewSectionReader(r.zip, m.data, m.size)})
	}
	for _, f := range r.files {
		if _, there := r.members[blobName(f.ID)]; there || !f.shareable() {
			continue
		}
		src, size, err := part(f)
		if err != nil {
			return fmt.Errorf("file %d (%s): %w", f.ID, f.Path, err)
		}
		p, err := numbered(src, size, f)
		if err != nil {
			return fmt.Errorf("file %d (%s): %w", f.ID, f.Path, err)
		}
		parts = append(parts, p)
	}
	slices.SortStableFunc(parts, func(a, b zipPart) int { return byPlace(a.name, b.name) })
	return writeZip(w, members[0].date, parts)
}

// numbered is a shared part with the number that its file has in a recording.
func numbered(src io.ReaderAt, size int64, f File) (zipPart, error) {
	b := &blob{name: blobName(f.ID), src: content{ReaderAt: src, size: size}}
	if err := b.scan(); err != nil {
		return zipPart{}, err
	}
	if b.end != size || b.size != f.Kept {
		return zipPart{}, fmt.Errorf("%d bytes where %d have to be", b.size, f.Kept)
	}
	own := &renumbered{src, b.blocks, uint32(f.ID)}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, io.NewSectionReader(own, 0, size)); err != nil {
		return zipPart{}, err
	}
	return zipPart{b.name, size, sum.Sum32(), own}, nil
}

// renumbered is the content of a file with another number in its chunks.
type renumbered struct {
	src    io.ReaderAt
	blocks []block
	number uint32
}

// ReadAt implements io.ReaderAt.
func (r *renumbered) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.src.ReadAt(p, off)
	i, _ := slices.BinarySearchFunc(r.blocks, off-chunkHeaderSize+1, func(b block, at int64) int { return cmp.Compare(b.at, at) })
	for ; i < len(r.blocks) && r.blocks[i].at < off+int64(n); i++ {
		var head [chunkHeaderSize]byte
		at := r.blocks[i].at
		if _, err := r.src.ReadAt(head[:], at); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		h, err := parseChunkHeader(head[:], magicFile, streamOf(&head), uint32(i))
		if err != nil {
			return 0, err
		}
		h.stream = r.number
		h.put(head[:])
		if at >= off {
			copy(p[at-off:n], head[:])
		} else {
			copy(p[:n], head[off-at:])
		}
	}
	return n, err
}

// zipPart is a member that is about to be written.
type zipPart struct {
	name string
	size int64
	crc  uint32
	src  io.ReaderAt
}

// zipIsBig says whether an archive of n members of together size bytes needs zip64.
func zipIsBig(n int, size int64) bool {
	return n >= math.MaxUint16 || size+int64(n)*2*(zipCentralSize+maxZipName)+zipEndSize >= math.MaxUint32
}

// writeZip writes an archive whose members are known, as zipWriter would have.
func writeZip(w io.Writer, date uint32, parts []zipPart) error {
	var size int64
	for _, p := range parts {
		size += p.size
	}
	return writeZipOf(w, date, parts, zipIsBig(len(parts), size), true)
}

func writeZipOf(w io.Writer, date uint32, parts []zipPart, big, contents bool) error {
	z := zipForm{big: big}
	members := make([]member, 0, len(parts))
	at := int64(0)
	for _, p := range parts {
		m := member{name: p.name, header: at, size: p.size, crc: p.crc}
		head := z.local(&m, date)
		if _, err := w.Write(head); err != nil {
			return err
		}
		if contents {
			if n, err := io.Copy(w, io.NewSectionReader(p.src, 0, p.size)); err != nil || n != p.size {
				return cmp.Or(err, fmt.Errorf("%s: %w", p.name, io.ErrUnexpectedEOF))
			}
		}
		at += int64(len(head)) + p.size
		members = append(members, m)
	}
	dir := int64(0)
	for i := range members {
		b := z.central(&members[i], date)
		dir += int64(len(b))
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	_, err := w.Write(z.end(uint64(len(members)), uint64(dir), uint64(at)))
	return err
}
