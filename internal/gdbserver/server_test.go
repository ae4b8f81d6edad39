package gdbserver

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"pyrr/replay"
)

// TestMalformedPackets holds that what no gdb would send is refused.
func TestMalformedPackets(t *testing.T) {
	s := &Server{breaks: map[uint64]*replay.Break{}, files: map[int]*openFile{}}
	for _, tt := range []struct{ packet, want string }{
		{"", ""},
		{"H", "E01"},
		{"Hg", "E01"},
		{"m", "E01"},
		{"m12", "E01"},
		{"m0,ffffffff", "E01"},
		{"Z", "E01"},
		{"Z0", "E01"},
		{"Z0,zz,1", "E01"},
		{"M0,1:00", "E01"},
		{"G00", "E01"},
		{"qXfer:features:read:target.xml:zz", "E00"},
		{"qXfer:features:read:other.xml:0,10", "E00"},
		{"qXfer:features:write:target.xml:0,10", ""},
		{"qXfer:auxv:read::100,10", "l"},
		{"vFile:open:zz", errNoEntry},
		{"vFile:open:2f,1,0", errAccess},
		{"vFile:pread:9,10,0", errBadFile},
		{"vFile:pread", errBadFile},
		{"vFile:close:9", errBadFile},
		{"vFile:fstat:9", errBadFile},
		{"qRcmd,zz", "E01"},
		{"vMustReplyEmpty", ""},
		{"qNonsense", ""},
	} {
		got, _, err := s.handle(tt.packet)
		if got != tt.want || err != nil {
			t.Errorf("%q: %q, %v; want %q", tt.packet, got, err, tt.want)
		}
	}
}

// TestDescription holds that the description is XML, and that it has as many
// registers, of the same sizes, as a thread's values.
func TestDescription(t *testing.T) {
	d := xml.NewDecoder(strings.NewReader(description()))
	all := values(&replay.ThreadState{})
	n := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := tok.(xml.StartElement)
		if !ok || e.Name.Local != "reg" {
			continue
		}
		var name, bits string
		for _, a := range e.Attr {
			switch a.Name.Local {
			case "name":
				name = a.Value
			case "bitsize":
				bits = a.Value
			}
		}
		size := map[string]int{"32": 4, "64": 8, "80": 10, "128": 16}[bits]
		if n >= len(all) || len(all[n]) != size {
			t.Fatalf("register %d, %s, has %s bits in the description", n, name, bits)
		}
		n++
	}
	if n != len(all) {
		t.Errorf("%d registers described, %d given", n, len(all))
	}
}
