package page

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

func TestKinds(t *testing.T) {
	for nr, want := range map[int32]kind{
		unix.SYS_FUTEX: kindLock, unix.SYS_CLOCK_NANOSLEEP: kindSleep, unix.SYS_RECVFROM: kindNetwork, unix.SYS_READ: kindData,
		unix.SYS_READLINK: kindFile, unix.SYS_EPOLL_WAIT: kindPoll, unix.SYS_WAIT4: kindChild, unix.SYS_MMAP: kindMemory,
		unix.SYS_CLONE: kindProcess, unix.SYS_KILL: kindSignal, unix.SYS_RT_SIGACTION: kindOther, unix.SYS_SCHED_YIELD: kindSchedule, 9999: kindOther,
	} {
		if got := kindOfCall(nr); got != want {
			t.Errorf("call %d is %s, not %s", nr, kindNames[got], kindNames[want])
		}
	}
	if len(kindNames) != int(kindEnd)+1 {
		t.Errorf("%d names of kinds", len(kindNames))
	}
	if k, ok := kindOf(&recording.Event{Kind: recording.KindSyscall, Nr: unix.SYS_WRITE, Why: recording.OutStderr}); k != kindOutput || !ok {
		t.Errorf("what is printed is %s", kindNames[k])
	}
	if _, ok := kindOf(&recording.Event{Kind: recording.KindReadings}); ok {
		t.Error("readings of the clock are a row")
	}
}

// TestTree: equal stacks are one node, and the frames above them are shared.
func TestTree(t *testing.T) {
	tr := newTree("/home/me/app")
	py := func(name, file string, line int) stack.Frame {
		return stack.Frame{Kind: stack.Python, Func: name, File: file, Line: line}
	}
	main := py("main", "/home/me/app/app.py", 9)
	wait := py("wait", "/usr/lib/python3.11/threading.py", 320)
	c := stack.Frame{Kind: stack.C, Func: "futex", Module: "libc.so.6"}
	eval := stack.Frame{Kind: stack.C, Func: "_PyEval_EvalFrameDefault", Eval: true}
	a := tr.add([]stack.Frame{c, wait, eval, main})
	if b := tr.add([]stack.Frame{c, wait, main}); b != a {
		t.Errorf("the same stack is %d and %d", a, b)
	}
	if b := tr.add([]stack.Frame{main}); tr.parent[tr.parent[a]] != b {
		t.Errorf("the outermost frame is %d, not %d", tr.parent[tr.parent[a]], b)
	}
	var own []int
	for n := a; n != 0; n = tr.parent[n] {
		own = append(own, tr.frames[tr.frame[n]].Own)
	}
	if len(own) != 3 || own[0] != 0 || own[1] != 1 || own[2] != 2 {
		t.Errorf("whose code the frames are: %v", own)
	}
	if n := tr.files[tr.byFile["/home/me/app/app.py"]].Name; n != "app.py" {
		t.Errorf("the file is called %q", n)
	}
	deep := make([]stack.Frame, 5000)
	for i := range deep {
		deep[i] = py("f", "/home/me/app/app.py", i+1)
	}
	before := len(tr.parent)
	if tr.add(deep); len(tr.parent)-before > maxFrames {
		t.Errorf("a deep recursion has %d nodes", len(tr.parent)-before)
	}
}

func TestSources(t *testing.T) {
	var b strings.Builder
	for range 100 {
		b.WriteString("x = 1\n")
	}
	b.WriteString("y = '\u202e'\n")
	own := &file{path: "a.py", Own: true, lines: map[int]bool{5: true}}
	lib := &file{path: "b.py", lines: map[int]bool{5: true, 12: true, 90: true, 4000: true}}
	tr := &tree{files: []*file{lib, own}}
	tr.addSources(map[string][]byte{"a.py": []byte(b.String()), "b.py": []byte(b.String())})
	if len(own.Parts) != 1 || own.Parts[0].From != 1 || strings.Contains(own.Parts[0].Text, "\u202e") || !strings.Contains(own.Parts[0].Text, `\u202e`) {
		t.Errorf("the user's file: %d parts", len(own.Parts))
	}
	if len(lib.Parts) != 2 || lib.Parts[0].From != 1 || lib.Parts[1].From != 90-around || strings.Count(lib.Parts[0].Text, "\n") != 19 {
		t.Errorf("the library's: %+v", lib.Parts)
	}
	if got := own.line(101); got != `y = '\u202e'` {
		t.Errorf("line 101 is %q", got)
	}
	if own.line(1000) != "" || lib.line(50) != "" {
		t.Error("lines that are not there")
	}
}

// TestBlock holds the form of the block: what doc.go says.
func TestBlock(t *testing.T) {
	d := &document{Title: "</script><b>"}
	d.numbers("up", []uint64{7, 300, 2}, true)
	d.numbers("plain", []uint64{0, 1 << 40}, false)
	text, err := d.block()
	if err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint32(raw)
	var got document
	if err := json.Unmarshal(raw[4:4+size], &got); err != nil || got.Title != d.Title || len(got.Columns) != 2 {
		t.Fatalf("%v: %+v", err, got)
	}
	data, last := raw[4+size:][got.Columns[0].At:], int64(0)
	for _, want := range []int64{7, 300, 2} {
		v, n := binary.Varint(data)
		if last += v; last != want {
			t.Errorf("%d, not %d", last, want)
		}
		data = data[n:]
	}
	if v, _ := binary.Uvarint(raw[4+size:][got.Columns[1].At+1:]); v != 1<<40 {
		t.Errorf("%d, not 2^40", v)
	}
}

func TestText(t *testing.T) {
	if got := cleanText([]byte("a\tb\r\n\x1b[31mred\xff\n")); got != "a\tb\n"+`\x1b[31mred\xff`+"\n" {
		t.Errorf("%q", got)
	}
	if got := shorten("äöü", 5); got != "ä…" {
		t.Errorf("%q", got)
	}
	if got := name("\u202e</script>" + strings.Repeat("é", maxName)); len(got) > maxName+20 || !strings.HasPrefix(got, `\u202e</script>é`) || !strings.HasSuffix(got, "é…") {
		t.Errorf("%q", got)
	}
	if got := shorten("one\ntwo", 50); got != "one" {
		t.Errorf("%q", got)
	}
}

// TestBetter holds which line is the nearest to one: itself, the next behind it, the last
// before it.
func TestBetter(t *testing.T) {
	const none = near + 1
	order := []int{0, 1, 5, near, -1, -5, -near, none} // the best first
	for i, a := range order {
		for k, b := range order {
			if got, want := better(a, b), i < k; a != none && got != want {
				t.Errorf("%d rather than %d: %v", a, b, got)
			}
		}
	}
}
