package recording

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"pyrr/internal/linux"
)

// DamagedError says where a recording can't be read.
type DamagedError struct {
	// File is the name inside the recording, or the recording itself.
	File   string
	Offset int64
	// Event is the number of the event that should follow, where File is a
	// stream; those before it are intact.
	Event uint64
	Err   error
}

func (e *DamagedError) Error() string {
	if strings.HasPrefix(e.File, eventsDir+"/") {
		return fmt.Sprintf("damaged recording: %s at byte %d, event %d: %v", e.File, e.Offset, e.Event, e.Err)
	}
	return fmt.Sprintf("damaged recording: %s at byte %d: %v", e.File, e.Offset, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }

// Recording is a recording opened for reading. Its methods may be called
// from several goroutines; an Iter belongs to one.
type Recording struct {
	path      string
	root      *os.Root // of a folder
	zip       *os.File // of a packed recording
	members   map[string]member
	originals bool // see PreferOriginals
	own       bool // a folder that belongs to who runs us
	header    Header
	files     []File
	index     int64 // length of the whole lines of the index
	streams   []int

	mu      sync.Mutex
	summary *Summary
	heads   heads // by mu

	find        func(File) (string, error) // see FindFiles
	provenFiles map[FileID]provenFile      // by mu
	blocks      blockDecoder

	sourcesOnce sync.Once
	sources     map[string][]byte
	sourcesErr  error
}

// Open opens a recording: a folder, finished or cut, or a packed one.
func Open(path string) (*Recording, error) {
	r := &Recording{path: path}
	if err := r.load(); err != nil {
		r.Close()
		return nil, fmt.Errorf("open recording %s: %w", path, err)
	}
	return r, nil
}

func (r *Recording) load() error {
	st, err := os.Stat(r.path)
	if err != nil {
		return err
	}
	switch {
	case st.IsDir():
		if r.root, err = os.OpenRoot(r.path); err != nil {
			return err
		}
		r.own = ownedByUser(st)
	case !st.Mode().IsRegular():
		return errors.New("neither a folder nor a file")
	default:
		if r.zip, err = os.Open(r.path); err != nil {
			return err
		}
		members, err := readZip(r.zip, st.Size())
		if err != nil {
			return &DamagedError{File: "zip archive", Err: err}
		}
		r.members = make(map[string]member, len(members))
		for _, m := range members {
			r.members[m.name] = m
		}
	}
	if err := r.readJSON(headerName, &r.header); err != nil {
		return err
	}
	if r.header.Format < 1 || r.header.Format > FormatVersion {
		return fmt.Errorf("its format is %d, made by %.100q; this pyrr reads up to %d", r.header.Format, r.header.Tool, FormatVersion)
	}
	if a := r.header.Host.Arch; a != "" && a != linux.Arch {
		return fmt.Errorf("it was made on the architecture %.100q; this pyrr reads recordings of %s", a, linux.Arch)
	}
	var sum Summary
	switch err := r.readJSON(summaryName, &sum); {
	case err == nil:
		r.summary = &sum
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if r.streams, err = r.listStreams(); err != nil {
		return err
	}
	r.files, err = r.readIndex()
	return err
}

// Close releases what the recording holds open. What it gave out can't be
// used after it.
func (r *Recording) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	if r.root != nil {
		errs = append(errs, r.root.Close())
	}
	if r.zip != nil {
		errs = append(errs, r.zip.Close())
	}
	return errors.Join(errs...)
}

// Header returns what was written when the recording began.
func (r *Recording) Header() Header { return r.header }

// Summary returns how the recording ended; false where it was cut before.
func (r *Recording) Summary() (Summary, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.summary == nil {
		return Summary{}, false
	}
	return *r.summary, true
}

// SetSummary replaces the summary of a recording that is a folder. The
// numbers of events per stream stay unless s has some.
func (r *Recording) SetSummary(s Summary) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.root == nil {
		return fmt.Errorf("write summary of %s: the recording is packed", r.path)
	}
	if s.Streams == nil && r.summary != nil {
		s.Streams = r.summary.Streams
	}
	if err := writeJSON(r.root, summaryName, s); err != nil {
		return err
	}
	r.summary = &s
	return nil
}

// SetVerified notes in the summary what a replay found: "exact", or
// "diverged: …". A cut recording gets a summary that says so.
func (r *Recording) SetVerified(verdict string) error {
	s, ok := r.Summary()
	if !ok {
		s.Truncated, s.Why = true, "the recorder was killed"
	}
	s.Verified = verdict
	return r.SetSummary(s)
}

// SetApprox notes in the summary which approximate instructions ran.
func (r *Recording) SetApprox(list []Approx) error {
	s, ok := r.Summary()
	if !ok {
		return nil // that it was cut is said by SetVerified
	}
	s.Approx = list
	return r.SetSummary(s)
}

// content is a member of the recording.
type content struct {
	io.ReaderAt
	size int64
	file *os.File // to be closed, nil for a packed recording
}

func (c *content) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// lookup opens the member name; fs.ErrNotExist where there is none.
func (r *Recording) lookup(name string) (content, error) {
	if r.root == nil {
		m, ok := r.members[name]
		if !ok {
			return content{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return content{ReaderAt: io.NewSectionReader(r.zip, m.data, m.size), size: m.size}, nil
	}
	// Not to be held up by a FIFO that somebody put there.
	f, err := r.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return content{}, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err != nil {
		f.Close()
		return content{}, err
	}
	return content{f, st.Size(), f}, nil
}

// readAll reads a member of at most limit bytes.
func (r *Recording) readAll(name string, limit int64) ([]byte, error) {
	c, err := r.lookup(name)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if c.size > limit {
		return nil, &DamagedError{File: name, Err: fmt.Errorf("%d bytes are above the limit of %d", c.size, limit)}
	}
	b := make([]byte, c.size)
	if _, err := c.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, &DamagedError{File: name, Err: err}
	}
	if m, ok := r.members[name]; ok && crc32.ChecksumIEEE(b) != m.crc {
		return nil, &DamagedError{File: name, Err: errJSONSum}
	}
	return b, nil
}

func (r *Recording) readJSON(name string, v any) error {
	b, err := r.readAll(name, maxJSON)
	if err != nil {
		return err
	}
	if err := unmarshalJSON(b, v); err != nil {
		return &DamagedError{File: name, Err: err}
	}
	return nil
}

// listStreams returns the numbers of the processes that have a stream.
func (r *Recording) listStreams() ([]int, error) {
	var names []string
	if r.root == nil {
		for name := range r.members {
			if n, ok := strings.CutPrefix(name, eventsDir+"/"); ok {
				names = append(names, n)
			}
		}
	} else {
		d, err := r.root.Open(eventsDir)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		if names, err = d.Readdirnames(2 * maxStreams); err != nil && err != io.EOF {
			return nil, err
		}
	}
	var ids []int
	for _, n := range names {
		id, err := strconv.Atoi(n)
		if err != nil || id < 1 || id > maxStreams || eventsDir+"/"+n != streamName(id) {
			continue // a name of a later version
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// finished says whether the recorder closed the recording with all of it.
func (r *Recording) finished() bool {
	s, ok := r.Summary()
	return ok && !s.Truncated
}

// readIndex reads the index of files; the last line of a file counts.
func (r *Recording) readIndex() ([]File, error) {
	b, err := r.readAll(indexName, maxIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	last := map[FileID]File{}
	offset := int64(0)
	in := bufio.NewScanner(bytes.NewReader(b))
	in.Buffer(nil, maxLine)
	in.Split(scanLines)
	for in.Scan() {
		line := in.Bytes()
		f, err := parseIndexLine(line)
		if err != nil {
			if line[len(line)-1] != '\n' && !r.finished() {
				break // the recorder was killed while it wrote it
			}
			return nil, &DamagedError{File: indexName, Offset: offset, Err: err}
		}
		last[f.ID] = f
		offset += int64(len(line))
		r.index = offset
	}
	if in.Err() != nil {
		return nil, &DamagedError{File: indexName, Offset: offset, Err: in.Err()}
	}
	files := make([]File, 0, len(last))
	for _, f := range last {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b File) int { return int(int64(a.ID) - int64(b.ID)) })
	return files, nil
}

// scanLines splits at newlines and keeps them.
func scanLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i+1], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func parseIndexLine(line []byte) (f File, err error) {
	if len(line) < 10 || line[8] != ' ' || line[len(line)-1] != '\n' {
		return f, errors.New("cut line")
	}
	body := line[9 : len(line)-1]
	if fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)) != string(line[:8]) {
		return f, errJSONSum
	}
	if err := json.Unmarshal(body, &f); err != nil {
		return f, err
	}
	if f.ID == 0 || f.ID > maxFiles || f.Want > maxFile || f.Kept > f.Want || f.Want > f.Size {
		return f, fmt.Errorf("file %d with %d of %d of %d bytes", f.ID, f.Kept, f.Want, f.Size)
	}
	if err := f.checkZeros(); err != nil {
		return f, fmt.Errorf("file %d: %w", f.ID, err)
	}
	return f, nil
}
