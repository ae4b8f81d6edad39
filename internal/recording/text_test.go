package recording

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTextIsTheSame(t *testing.T) {
	want := randomEvents(rand.New(rand.NewPCG(5, 6)), 1, 2000)
	w, dir := create(t)
	appendAll(t, w.Stream(1), want)
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	it, err := open(t, dir).Events(1)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := WriteText(&text, it); err != nil {
		t.Fatal(err)
	}
	got, err := ParseText(bytes.NewReader(text.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, same); d != "" {
		t.Errorf("events (-written +parsed):\n%s", d)
	}
}

func TestFormatEvent(t *testing.T) {
	ev := Event{Kind: KindSyscall, Stop: StopSyscall, TID: 7, Instr: 181380, Reached: Reached{PC: 0x7f00, RegSum: 0xabc}, Nr: 257,
		Args: [6]uint64{0xffffff9c, 0x7ffd00}, Ret: -2, Time: 12, EndTime: 15, In: []byte("/etc/with space \"x\""),
		Memory: Memory{Maps: []Mapping{{Start: 0x1000, End: 0x2000, Prot: 5, Shared: true, File: 3, Offset: 0x400, Name: "/lib/a b"}}, Mem: []Write{{0x10, []byte{0, 1, 2, 0xff}}, {0x20, nil}}}}
	want := `3 syscall stop=syscall tid=7 instr=181380 pc=0x7f00 regsum=0xabc nr=257 args=0xffffff9c,0x7ffd00,0x0,0x0,0x0,0x0 ret=-2` +
		` time=12 endtime=15 in="/etc/with space \"x\"" map=0x1000-0x2000,0x5,s,3,0x400,"/lib/a b" mem=0x10:x"000102ff" mem=0x20:""` + "\n"
	if got := string(FormatEvent(nil, 3, &ev)); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestParseTextSkipsComments(t *testing.T) {
	got, err := ParseText(strings.NewReader("# process 1\n\n5 note text=\"a\"\n6 end why=\"exited\"\n"))
	want := []Event{{Kind: KindNote, Text: "a"}, {Kind: KindEnd, Why: "exited"}}
	if err != nil || !cmp.Equal(want, got, same) {
		t.Errorf("got %+v, %v", got, err)
	}
}
