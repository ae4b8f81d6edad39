package capture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// maxImage bounds the memory of an image that is written out.
const maxImage = 3 << 30

// imageWriter reads the memory of a frozen process into a start event. It
// makes no ptrace call, so it may run beside the tracer.
type imageWriter struct {
	w       *recording.Writer
	f       *frozen
	pid     int
	ev      *recording.Event
	size    int
	pagemap *os.File // nil: every page is looked at
	later   []byte   // stands for what load reads; nil where everything is read at once
	loaded  []byte   // room for that
}

func newImageWriter(pid int, ev *recording.Event) *imageWriter {
	iw := &imageWriter{pid: pid, ev: ev}
	if f, err := os.Open(fmt.Sprintf("/proc/%d/pagemap", pid)); err == nil {
		iw.pagemap = f
	}
	return iw
}

func (iw *imageWriter) close() {
	if iw.pagemap != nil {
		iw.pagemap.Close()
	}
}

// load returns the bytes of a part of the image. What read put off is read now: the
// process is frozen, and all of its memory at once would be there twice.
func (iw *imageWriter) load(w *recording.Write) ([]byte, error) {
	if len(iw.later) == 0 || len(w.Data) == 0 || &w.Data[0] != &iw.later[0] {
		return w.Data, nil
	}
	if iw.loaded == nil {
		iw.loaded = make([]byte, imageRun)
	}
	b := iw.loaded[:len(w.Data)]
	if err := iw.readMemory(b, w.Addr); err != nil {
		return nil, fmt.Errorf("read the image of process %d: %w", iw.ev.Proc.PID, err)
	}
	return b, nil
}

// imageTask is the writing of an epoch's image in the background.
type imageTask struct {
	done chan struct{}
	err  error // once it is done
}

func (task *imageTask) written() bool {
	select {
	case <-task.done:
		return true
	default:
		return false
	}
}

// writeImage begins to write the image of an epoch, unless that was begun
// already, and with it all that was logged since.
func (ep *epoch) writeImage(f *frozen) {
	if ep.image != nil {
		return
	}
	task := &imageTask{done: make(chan struct{})}
	ep.image = task
	first, rest := ep.first, ep.rest
	ep.first, ep.rest = recording.Event{}, nil
	go func() {
		defer close(task.done)
		iw := newImageWriter(f.pid, &first)
		defer iw.close()
		iw.w, iw.f = ep.w, f
		if f.ahead == nil {
			iw.later = make([]byte, imageRun)
		}
		if task.err = iw.read(); task.err != nil {
			return
		}
		id := first.Proc.ID
		if task.err = ep.w.Begin(id, append([]recording.Event{first}, rest...), iw.load); task.err == nil {
			ep.w.Settle(id)
		}
	}()
}

// close completes the recording of an epoch whose image is being written.
func (ep *epoch) close(sum recording.Summary) error {
	<-ep.image.done
	err := ep.image.err
	if err != nil {
		sum.Truncated = true
		sum.Why = err.Error()
	}
	return errors.Join(err, ep.w.Close(sum))
}

func (iw *imageWriter) read() error {
	maps, err := iw.f.mappings()
	if err != nil {
		return err
	}
	if len(maps) == 0 {
		return fmt.Errorf("the image of process %d is gone", iw.ev.Proc.PID)
	}
	for i := range maps {
		for _, m := range iw.split(maps[i]) {
			if err := iw.mapping(&m); err != nil {
				return fmt.Errorf("read the image of process %d: %w", iw.ev.Proc.PID, err)
			}
		}
	}
	for _, c := range iw.f.copies {
		if err := iw.add(c.Addr, c.Data); err != nil {
			return err
		}
	}
	sort.SliceStable(iw.ev.Maps, func(i, k int) bool { return iw.ev.Maps[i].Start < iw.ev.Maps[k].Start })
	return nil
}

// split cuts a mapping where pyrr's own memory begins and ends: the kernel
// makes one mapping of two that lie side by side and are alike.
func (iw *imageWriter) split(m linux.Mapping) []linux.Mapping {
	var cuts []uint64
	cut := func(s span) {
		for _, at := range []uint64{s.start, s.end} {
			if at > m.Start && at < m.End {
				cuts = append(cuts, at)
			}
		}
	}
	for _, s := range iw.f.skip {
		cut(s)
	}
	for _, e := range iw.f.engine {
		cut(e.span)
	}
	slices.Sort(cuts)
	var out []linux.Mapping
	for _, at := range slices.Compact(cuts) {
		head := m
		head.End = at
		out = append(out, head)
		m.Off += at - m.Start
		m.Start = at
	}
	return append(out, m)
}

func (iw *imageWriter) skipped(m *linux.Mapping) bool {
	for _, s := range iw.f.skip {
		if m.Start >= s.start && m.End <= s.end {
			return true
		}
	}
	return false
}

func (iw *imageWriter) mapping(m *linux.Mapping) error {
	if m.Start == scratchBase {
		return nil // pyrr's own, and replay has no use for it
	}
	if m.Path == "[vdso]" || m.Path == "[vsyscall]" || strings.HasPrefix(m.Path, "[vvar") {
		return nil
	}
	rm := recording.Mapping{Start: m.Start, End: m.End, Prot: m.Prot, Name: m.Path}
	for _, e := range iw.f.engine {
		if m.Start >= e.start && m.End <= e.end {
			rm.Name = e.name
		}
	}
	if iw.skipped(m) {
		iw.ev.Maps = append(iw.ev.Maps, rm)
		return nil
	}
	var f *os.File
	if m.Ino != 0 {
		f = openMapped(m, iw.f.pid)
	}
	if f == nil {
		iw.ev.Maps = append(iw.ev.Maps, rm)
		return iw.pages(m, nil)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s: %w", m.Path, err)
	}
	id, err := iw.w.AddFile(m.Path, int(f.Fd()), st, wantedOf(f, &st, m.Off+(m.End-m.Start)))
	if err != nil {
		return err
	}
	rm.File, rm.Offset = id, m.Off
	iw.ev.Maps = append(iw.ev.Maps, rm)
	return iw.pages(m, f)
}

const entrySize = 8

// imageRun is how many bytes are read at once at most.
const imageRun = 512 * pageSize

// What /proc/PID/pagemap says of a page (Documentation/admin-guide/mm/pagemap.rst).
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61
)

// pages adds those pages of a private mapping that the program changed: that
// differ from the file, or from zeros.
func (iw *imageWriter) pages(m *linux.Mapping, file *os.File) error {
	// Of a file that can't be opened everything is needed, also what was not touched yet.
	whole := file == nil && m.Ino != 0 && private(m) && m.Prot != 0
	if iw.f != nil && iw.f.ahead != nil && private(m) && !whole {
		return iw.copied(m, file)
	}
	const chunk = imageRun / pageSize
	var entries [chunk * entrySize]byte
	var buf, base []byte // as large as the longest run of pages
	for at := m.Start; at < m.End; at += chunk * pageSize {
		n := int(min(chunk, (m.End-at)/pageSize))
		known := false
		if iw.pagemap != nil {
			k, err := iw.pagemap.ReadAt(entries[:n*entrySize], int64(at/pageSize*entrySize))
			known = err == nil && k == n*entrySize
		}
		wanted := func(i int) bool {
			if !known || whole {
				return true
			}
			e := binary.LittleEndian.Uint64(entries[i*entrySize:])
			if file == nil {
				return e&(pagePresent|pageSwapped) != 0
			}
			return e&pageSwapped != 0 || e&pagePresent != 0 && e&pageOfFile == 0
		}
		for i := 0; i < n; {
			if !wanted(i) {
				i++
				continue
			}
			k := i
			for k < n && wanted(k) {
				k++
			}
			start := at + uint64(i)*pageSize
			if len(buf) < (k-i)*pageSize {
				buf, base = make([]byte, (k-i)*pageSize), make([]byte, (k-i)*pageSize)
			}
			b := buf[:(k-i)*pageSize]
			if err := iw.readMemory(b, start); err != nil {
				return err
			}
			if err := iw.changed(m, file, start, b, base[:len(b)]); err != nil {
				return err
			}
			i = k
		}
	}
	return nil
}

// readMemory reads what there is at an address; the rest is zeros, as beyond the end of a
// file.
func (iw *imageWriter) readMemory(b []byte, start uint64) error {
	if iw.f != nil && iw.f.ahead != nil {
		for off := 0; off < len(b); off += pageSize {
			if page := b[off : off+pageSize]; iw.f.ahead.ReadSome(page, start+uint64(off)) < pageSize {
				clear(page)
			}
		}
		return nil
	}
	err := (ptrace.Mem)(iw.pid).ReadAt(b, start)
	if ptrace.Gone(err) {
		return err
	}
	if err != nil {
		copy(b, readPages(iw.pid, start, start+uint64(len(b))))
	}
	return nil
}

// copied adds those pages of a mapping that were copied while the process ran.
func (iw *imageWriter) copied(m *linux.Mapping, file *os.File) error {
	var base []byte
	return iw.f.ahead.runs(m, func(start uint64, b []byte) error {
		if len(base) < len(b) {
			base = make([]byte, len(b))
		}
		return iw.changed(m, file, start, b, base[:len(b)])
	})
}

// changed adds the pages of b that differ from the file, or from zeros. want is room for
// those.
func (iw *imageWriter) changed(m *linux.Mapping, file *os.File, start uint64, b, want []byte) error {
	clear(want)
	if file != nil {
		if _, err := file.ReadAt(want, int64(m.Off+start-m.Start)); err != nil && !isEOF(err) {
			return fmt.Errorf("read %s: %w", m.Path, err)
		}
	}
	return iw.differing(start, b, want)
}

// differing adds the runs of pages of b that are not as in want.
func (iw *imageWriter) differing(start uint64, b, want []byte) error {
	run := -1
	for off := 0; off <= len(b); off += pageSize {
		same := off == len(b) || bytes.Equal(b[off:off+pageSize], want[off:off+pageSize])
		if !same && run < 0 {
			run = off
		}
		if same && run >= 0 {
			if err := iw.found(start+uint64(run), b[run:off]); err != nil {
				return err
			}
			run = -1
		}
	}
	return nil
}

// found adds what was read of the frozen process, or notes where it is for load.
func (iw *imageWriter) found(addr uint64, b []byte) error {
	if len(iw.later) < len(b) {
		return iw.add(addr, b)
	}
	if err := iw.grow(b); err != nil {
		return err
	}
	iw.ev.Mem = append(iw.ev.Mem, recording.Write{Addr: addr, Data: iw.later[:len(b)]})
	return nil
}

func (iw *imageWriter) grow(b []byte) error {
	if iw.size += len(b); iw.size > maxImage {
		return fmt.Errorf("the process has more than %d MB of memory", maxImage>>20)
	}
	return nil
}

func (iw *imageWriter) add(addr uint64, b []byte) error {
	if err := iw.grow(b); err != nil {
		return err
	}
	iw.ev.Mem = append(iw.ev.Mem, recording.Write{Addr: addr, Data: append([]byte(nil), b...)})
	return nil
}
