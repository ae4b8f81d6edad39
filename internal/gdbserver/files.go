package gdbserver

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/mem"
	"pyrr/internal/recording"
	"pyrr/internal/unwind"
)

// openFile is a file that gdb reads for its symbols.
type openFile struct {
	r     io.ReaderAt
	size  int64
	close func()
}

func (s *Server) closeFiles() {
	for _, f := range s.files {
		f.close()
	}
}

// Errors of the File-I/O protocol.
const (
	errNoEntry = "F-1,2"
	errAccess  = "F-1,d"
	errBadFile = "F-1,9"
)

// file answers vFile packets: the files of the recording, read-only.
func (s *Server) file(p string) string {
	op, args, _ := strings.Cut(p, ":")
	fields := strings.Split(args, ",")
	num := func(i int) int64 {
		if i >= len(fields) {
			return -1
		}
		v, err := strconv.ParseInt(fields[i], 16, 64)
		if err != nil {
			return -1
		}
		return v
	}
	switch op {
	case "setfs":
		return "F0"
	case "open":
		path, err := hex.DecodeString(fields[0])
		if err != nil {
			return errNoEntry
		}
		if num(1)&3 != 0 {
			return errAccess
		}
		f := s.lookup(string(path))
		if f == nil {
			return errNoEntry
		}
		s.files[s.nextFD] = f
		s.nextFD++
		return fmt.Sprintf("F%x", s.nextFD-1)
	case "close":
		f := s.files[int(num(0))]
		if f == nil {
			return errBadFile
		}
		f.close()
		delete(s.files, int(num(0)))
		return "F0"
	case "pread":
		f, n, off := s.files[int(num(0))], num(1), num(2)
		if f == nil || n < 0 || off < 0 {
			return errBadFile
		}
		b := make([]byte, min(n, maxPacket/2-64))
		got, err := f.r.ReadAt(b, off)
		if err != nil && err != io.EOF {
			return "F-1,5"
		}
		return fmt.Sprintf("F%x;%s", got, b[:got])
	case "fstat":
		f := s.files[int(num(0))]
		if f == nil {
			return errBadFile
		}
		// struct stat of the File-I/O protocol, big-endian.
		var b bytes.Buffer
		be := func(vs ...any) {
			for _, v := range vs {
				binary.Write(&b, binary.BigEndian, v)
			}
		}
		be(uint32(0), uint32(0), uint32(0o100644), uint32(1), uint32(0), uint32(0), uint32(0), uint64(f.size), uint64(4096), uint64((f.size+511)/512), uint32(0), uint32(0), uint32(0))
		return fmt.Sprintf("F%x;%s", b.Len(), b.String())
	case "readlink":
		return errNoEntry
	}
	return ""
}

// lookup finds a file of the recording. The recording has of it what was
// mapped; where this machine has the very file, that one has its debug
// information too.
func (s *Server) lookup(path string) *openFile {
	// Links are not in the recording: the interpreter of a program is mostly
	// one. What this machine knows of them counts, then the name alone.
	files := s.Recording.Files()
	real, _ := filepath.EvalSymlinks(path)
	i := slices.IndexFunc(files, func(f recording.File) bool { return f.Path == path })
	if i < 0 && real != "" {
		i = slices.IndexFunc(files, func(f recording.File) bool { return f.Path == real })
	}
	if i < 0 {
		i = slices.IndexFunc(files, func(f recording.File) bool { return filepath.Base(f.Path) == filepath.Base(path) })
	}
	if i >= 0 {
		f := files[i]
		path = f.Path
		r, size, err := s.Recording.ReadFile(f.ID)
		if err != nil {
			return nil
		}
		if local := sameFile(path, r, size, int64(f.Size)); local != nil {
			return local
		}
		return &openFile{unwind.WithoutSections{ReaderAt: r}, size, func() {}}
	}
	return nil
}

// sameFile opens a file of this machine if it begins as the recorded one
// does, build id included, and is as long as that was. The recording has the
// first size bytes.
func sameFile(path string, r io.ReaderAt, size, whole int64) *openFile {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	st, err := f.Stat()
	if err == nil && st.Mode().IsRegular() && st.Size() == whole {
		a, b := make([]byte, min(size, 4096)), make([]byte, min(size, 4096))
		_, errA := f.ReadAt(a, 0)
		_, errB := r.ReadAt(b, 0)
		if errA == nil && errB == nil && bytes.Equal(a, b) {
			return &openFile{f, whole, func() { f.Close() }}
		}
	}
	f.Close()
	return nil
}

// xfer answers qXfer packets.
func (s *Server) xfer(args string) string {
	object, rest, _ := strings.Cut(args, ":")
	op, rest, _ := strings.Cut(rest, ":")
	annex, span, _ := strings.Cut(rest, ":")
	if op != "read" {
		return ""
	}
	var data []byte
	switch object {
	case "features":
		if annex != "target.xml" {
			return "E00"
		}
		data = []byte(description())
	case "auxv":
		data = s.auxv
	case "siginfo":
		if data = s.siginfo(); data == nil {
			return "E01"
		}
	case "exec-file":
		data = []byte(s.Session.Proc().Exe)
	default:
		return ""
	}
	off, n, err := addressAndLength(span)
	if err != nil {
		return "E00"
	}
	if off >= uint64(len(data)) {
		return "l"
	}
	data = data[off:]
	if n = min(n, maxPacket/2-16); n < len(data) {
		return "m" + string(data[:n])
	}
	return "l" + string(data)
}

// readAuxv takes the auxiliary vector from the stack of the program's start,
// behind its arguments and environment (System V ABI x86-64, 3.4.1). A
// session begins there, if the recording does.
func (s *Server) readAuxv() {
	ts, err := s.Session.Threads()
	if err != nil || len(ts) != 1 {
		return
	}
	if at := s.Session.Point(); at.Event > 1 || at.Instr > 0 {
		return
	}
	m := s.Session.Memory()
	at := ts[0].Regs.SP()
	argc, err := mem.U64(m, at)
	if err != nil || argc > 1<<16 {
		return
	}
	at += 8 * (argc + 2)
	for range 1 << 16 {
		v, err := mem.U64(m, at)
		if err != nil {
			return
		}
		at += 8
		if v == 0 {
			break
		}
	}
	var out []byte
	for range 64 {
		b, err := mem.Bytes(m, at, 16)
		if err != nil {
			return
		}
		out = append(out, b...)
		at += 16
		if binary.LittleEndian.Uint64(b) == 0 {
			s.auxv = out
			return
		}
	}
}
