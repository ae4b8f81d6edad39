package inject

import (
	"encoding/binary"
	"testing"

	unix "pyrr/internal/sys"
)

// heldMemory is memory that begins at an address.
type heldMemory struct {
	at    uint64
	bytes []byte
}

func (m heldMemory) ReadAt(p []byte, addr uint64) error {
	copy(p, m.bytes[addr-m.at:])
	return nil
}

// TestUnnoted: of a process that is killed, what it was writing is known from the moment the
// kernel has returned, wherever it stands behind that, and not before.
func TestUnnoted(t *testing.T) {
	const text = "printed"
	img, err := BuildCalls(0x10000000, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := heldMemory{img.Data, make([]byte, img.Base+img.Size-img.Data)}
	put := func(addr, v uint64) { binary.LittleEndian.PutUint64(m.bytes[addr-img.Data:], v) }
	at := img.Buf + 0x1000 // of the text
	copy(m.bytes[at-img.Data:], text)
	put(img.Data+cellClass, classPrint)
	put(img.Buf+recNr, unix.SYS_WRITE)
	put(img.Buf+argSI, at)
	label := func(name string) uint64 { return img.Base + uint64(img.common.labels[name]) }
	for _, test := range []struct {
		name    string
		pc, rax uint64
		stored  bool // the record has the result
		want    int  // bytes of the text
	}{
		{name: "before the call", pc: label("call"), rax: unix.SYS_WRITE},
		{name: "behind it", pc: label("called"), rax: 7, want: 7},
		{name: "the next instruction", pc: label("called") + 7, rax: 5, want: 5},
		{name: "it failed", pc: label("called") + 7, rax: ^uint64(10)},
		{name: "it is made again", pc: label("undo") + 7, rax: unix.SYS_WRITE},
		{name: "before the result is stored", pc: label("is"), rax: 7, want: 7},
		{name: "behind that", pc: label("noted") + 2, rax: 1, stored: true, want: 7},
		{name: "before a try", pc: label("vectored"), rax: 328},
		{name: "behind it", pc: label("printed"), rax: 7, want: 7},
		{name: "its result is looked at", pc: label("transferred"), rax: 7, want: 7},
		{name: "another call's code", pc: label("selects"), rax: 7},
		{name: "the program's code", pc: img.Base - 1, rax: 7},
	} {
		put(img.Buf+recRet, 0)
		if test.stored {
			put(img.Buf+recRet, 7)
		}
		rec := img.Unnoted(m, img.Buf, test.pc, test.rax)
		got := 0
		if rec != nil {
			got = int(binary.LittleEndian.Uint64(rec[recRet:]))
			if in := string(rec[callHead : callHead+got]); in != text[:got] {
				t.Errorf("%s: it wrote %q", test.name, in)
			}
		}
		if got != test.want {
			t.Errorf("%s: %d bytes were written, want %d", test.name, got, test.want)
		}
	}
}
