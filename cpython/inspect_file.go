package cpython

// Unflushed is what a file object has taken and not given to its descriptor.
type Unflushed struct {
	Bytes int
	// Word is the address of the number of 8 bytes that tells it, and Empty what that is
	// while nothing lies there. Through, of a text file all of whose bytes have gone on to its
	// buffer, is the address of its own such number, which was not 0 before they went.
	Word, Empty, Through uint64
}

// Unflushed reads how many bytes lie in a file object of the io module that were written to
// it and not to its descriptor: of a text file those in its own list, too. Of
// struct textio (Modules/_io/textio.c) the member pending_bytes_count, of struct buffered
// (Modules/_io/bufferedio.c) write_pos and write_end, which is -1 for none: they lie at the
// same places from 3.8 to 3.15.
func (i *Inspector) Unflushed(obj uint64) (out Unflushed, ok bool) {
	const (
		most      = 1 << 30
		pending   = 128 // textio.pending_bytes_count, behind the object's head
		writePos  = 72  // buffered.write_pos
		writeEnd  = 80  // buffered.write_end
		lastBytes = 8
	)
	head := uint64(i.r.l.object.typ) + 8
	if i.Type(obj) == "TextIOWrapper" {
		n, err := i.v.u64(obj + head + pending)
		if err != nil || n > most {
			return Unflushed{}, false
		}
		out = Unflushed{Bytes: int(n), Word: obj + head + pending}
	}
	buffer := i.Buffer(obj)
	if class := i.Type(buffer); class != "BufferedWriter" && class != "BufferedRandom" {
		return out, out.Bytes > 0
	}
	s, err := i.v.record("buffered", buffer+head, writeEnd+lastBytes)
	if err != nil {
		return out, out.Bytes > 0
	}
	if pos, end := s.u64(writePos), s.u64(writeEnd); end <= most && pos < end {
		through := uint64(0)
		if out.Bytes == 0 {
			through = out.Word
		}
		out = Unflushed{Bytes: out.Bytes + int(end-pos), Word: buffer + head + writeEnd, Empty: ^uint64(0), Through: through}
	}
	return out, out.Bytes > 0
}

// writer is the half of a BufferedRWPair that writes, and any other object itself: struct
// rwpair has reader and writer.
func (i *Inspector) writer(obj uint64) uint64 {
	if i.Type(obj) == "BufferedRWPair" {
		obj, _ = i.v.u64(obj + uint64(i.r.l.object.typ) + 8 + 8)
	}
	return obj
}
