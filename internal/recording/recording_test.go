package recording

import (
	"bytes"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pyrr/internal/linux"
)

// randomEvents makes a valid stream of n events of the process proc, of all
// kinds and with all fields that they may hold.
func randomEvents(rnd *rand.Rand, proc, n int) []Event {
	events := make([]Event, n)
	for i := range events {
		var k Kind
		switch i {
		case 0:
			k = KindStart
		case n - 1:
			k = KindEnd
		default:
			for k == 0 || k == KindStart || k == KindEnd || k.row() == nil {
				k = Kind(rnd.IntN(len(kindTable)))
			}
		}
		row := k.row()
		fields := row.need | (row.may|always)&fieldSet(rnd.Uint64())
		events[i] = randomEvent(rnd, k, fields)
		if events[i].Proc != nil {
			events[i].Proc.ID = proc
		}
	}
	return events
}

// randomNumber prefers small numbers and the ends of the range.
func randomNumber(rnd *rand.Rand) uint64 {
	v := rnd.Uint64() >> rnd.IntN(64)
	if rnd.IntN(2) == 0 {
		v = -v
	}
	return v
}

func randomBytes(rnd *rand.Rand, limit int) []byte {
	b := make([]byte, 1+rnd.IntN(limit))
	for i := range b {
		b[i] = byte(rnd.Uint32() >> rnd.IntN(8))
	}
	return b
}

func randomStrings(rnd *rand.Rand) []string {
	var s []string
	for range rnd.IntN(4) {
		s = append(s, string(randomBytes(rnd, 20)))
	}
	return append(s, "")
}

func randomEvent(rnd *rand.Rand, k Kind, f fieldSet) Event {
	ev := Event{Kind: k}
	num := func() uint64 { return randomNumber(rnd) }
	set := func(bit fieldSet, fn func()) {
		if f&bit != 0 {
			fn()
		}
	}
	set(fStop, func() { ev.Stop = Stop(1 + rnd.IntN(int(lastStop))) })
	set(fPauses, func() { ev.Pauses = num() })
	set(fOutSum, func() { ev.OutSum = uint32(num()) })
	set(fOpen, func() {
		for range 1 + rnd.IntN(4) {
			ev.Open = append(ev.Open, OpenFD{int32(num()), uint32(num()), string(randomBytes(rnd, 20))})
		}
	})
	set(fTID, func() { ev.TID = int32(num()) })
	set(fInstr, func() { ev.Instr = num() })
	set(fPC, func() { ev.PC = num() })
	set(fRegSum, func() { ev.RegSum = uint32(num()) })
	set(fNr, func() { ev.Nr = int32(num()) | 1 })
	set(fArgs, func() {
		for i := range ev.Args {
			ev.Args[i] = num() * uint64(rnd.IntN(2))
		}
	})
	set(fRet, func() { ev.Ret = int64(num()) })
	set(fTime, func() { ev.Time = int64(num()) })
	set(fEndTime, func() { ev.EndTime = int64(num()) })
	set(fIn, func() { ev.In = randomBytes(rnd, 256) })
	set(fReadings, func() { ev.Readings = randomBytes(rnd, 64) })
	set(fMaps, func() {
		for range 1 + rnd.IntN(3) {
			ev.Maps = append(ev.Maps, Mapping{Start: num(), End: num(), Prot: uint32(num()), Shared: rnd.IntN(2) == 0,
				File: FileID(num()), Offset: num(), Name: string(randomBytes(rnd, 30))})
		}
	})
	set(fChild, func() { ev.Child = int32(num()) })
	set(fRegs, func() {
		var a regArray
		for i := range a {
			a[i] = num()
		}
		ev.Regs = linux.RegsOf((*[linux.NumRegs]uint64)(&a))
	})
	set(fXState, func() { ev.XState = randomBytes(rnd, 3000) })
	set(fProc, func() {
		ev.Proc = &Process{ID: 1, PID: int(num()), Parent: rnd.IntN(9), ParentEvent: num(), Fork: rnd.IntN(2) == 0,
			Exe: "/usr/bin/python3", Argv: randomStrings(rnd), Env: randomStrings(rnd), Cwd: "/", Python: "3.11.2",
			Start: int64(num()), Brk: num(), StackLimit: num()}
	})
	set(fWhy, func() { ev.Why = string(randomBytes(rnd, 20)) })
	set(fText, func() { ev.Text = string(randomBytes(rnd, 20)) })
	set(fMem, func() {
		for range 1 + rnd.IntN(4) {
			w := Write{Addr: num()}
			if rnd.IntN(8) != 0 {
				w.Data = randomBytes(rnd, 400)
			}
			ev.Mem = append(ev.Mem, w)
		}
	})
	return ev
}

// same is equality of events: nil and empty slices are equal. Bytes
// are compared as a whole, as go-cmp takes minutes for them one by one.
var same = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal)),
}

func testHeader() Header {
	return Header{Format: FormatVersion, Tool: "pyrr test", Command: []string{"python3", "-c", "pass"}, Cwd: "/",
		Started: time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC),
		Host:    Host{Kernel: "6.1", CPU: "some", Features: []string{"avx2"}, XCR0: 7, XSaveSize: 832, Cores: 2},
		Options: map[string]string{"keep": "always"}}
}

// create makes a recording in a new folder.
func create(t testing.TB) (*Writer, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "test.pyrr.part")
	w, err := Create(dir, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	return w, dir
}

func open(t testing.TB, path string) *Recording {
	t.Helper()
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func appendAll(t testing.TB, s *Stream, events []Event) {
	t.Helper()
	for i := range events {
		if err := s.Append(&events[i]); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
}

// readEvents reads a stream to its end or first error.
func readEvents(it *Iter) ([]Event, error) {
	var events []Event
	for {
		var ev Event
		err := it.Next(&ev)
		if err == io.EOF {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, ev)
	}
}

func mustRead(t testing.TB, r *Recording, proc int) []Event {
	t.Helper()
	it, err := r.Events(proc)
	if err != nil {
		t.Fatal(err)
	}
	events, err := readEvents(it)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestWrittenIsRead(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	w, dir := create(t)
	want := map[int][]Event{}
	for proc := 1; proc <= 3; proc++ {
		want[proc] = randomEvents(rnd, proc, 1000)
	}
	for i := range 1000 {
		for proc := 1; proc <= 3; proc++ {
			ev := want[proc][i]
			if err := w.Stream(proc).Append(&ev); err != nil {
				t.Fatalf("process %d event %d: %v", proc, i, err)
			}
		}
		if rnd.IntN(100) == 0 {
			w.Flush()
		}
	}
	sum := Summary{Status: 256, Ended: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Events: 3000, Instructions: 5}
	if err := w.Close(sum); err != nil {
		t.Fatal(err)
	}
	zip := filepath.Join(t.TempDir(), "test.pyrr.zip")
	if err := Pack(dir, zip); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, zip} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			r := open(t, path)
			if d := cmp.Diff(testHeader(), r.Header()); d != "" {
				t.Errorf("header (-written +read):\n%s", d)
			}
			got, ok := r.Summary()
			wantSum := sum
			wantSum.Streams = map[int]uint64{1: 1000, 2: 1000, 3: 1000}
			if d := cmp.Diff(wantSum, got); !ok || d != "" {
				t.Errorf("summary (-written +read):\n%s", d)
			}
			procs, err := r.Procs()
			if err != nil || len(procs) != 3 {
				t.Fatalf("Procs: %d, %v", len(procs), err)
			}
			for _, p := range procs {
				if d := cmp.Diff(want[p.ID][0].Proc, &p, same); d != "" {
					t.Errorf("process %d (-written +read):\n%s", p.ID, d)
				}
				if d := cmp.Diff(want[p.ID], mustRead(t, r, p.ID), same); d != "" {
					t.Errorf("events of process %d (-written +read):\n%s", p.ID, d)
				}
			}
		})
	}
}

func TestBigEvents(t *testing.T) {
	data := make([]byte, 11<<20)
	for i := range data {
		data[i] = byte(i >> 8 * i)
	}
	events := []Event{
		{Kind: KindStart, Proc: &Process{ID: 1}, Memory: Memory{Mem: []Write{{1, data}, {1 << 40, data[:5<<20]}}}},
		{Kind: KindSyscall, Nr: 1, Ret: 3},
		{Kind: KindSyscall, Memory: Memory{Mem: []Write{{7, data[:300<<10]}}}},
		{Kind: KindSyscall, Memory: Memory{Mem: []Write{{7, data[:pieceSize]}}}},
		{Kind: KindSyscall, Memory: Memory{Mem: []Write{{7, data[:pieceSize-8]}, {8, nil}, {9, data[:1]}}}},
		{Kind: KindEnd, Why: EndExited},
	}
	w, dir := create(t)
	appendAll(t, w.Stream(1), events)
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	got := mustRead(t, r, 1)
	if !cmp.Equal(events, got, same) {
		t.Error("events differ")
	}
	procs, err := r.Procs()
	if err != nil || len(procs) != 1 {
		t.Errorf("Procs: %v, %v", procs, err)
	}
}

func TestAppendRefuses(t *testing.T) {
	start := Event{Kind: KindStart, Proc: &Process{ID: 1}}
	tests := []struct {
		name   string
		before []Event
		ev     Event
	}{
		{"no start", nil, Event{Kind: KindSyscall}},
		{"second start", []Event{start}, start},
		{"start of another process", nil, Event{Kind: KindStart, Proc: &Process{ID: 2}}},
		{"start without process", nil, Event{Kind: KindStart}},
		{"after the end", []Event{start, {Kind: KindEnd, Why: EndExited}}, Event{Kind: KindSyscall}},
		{"kind 0", []Event{start}, Event{}},
		{"unknown kind", []Event{start}, Event{Kind: 99}},
		{"field of another kind", []Event{start}, Event{Kind: KindSwitch, Child: 3}},
		{"missing field", []Event{start}, Event{Kind: KindEnd}},
		{"unknown stop", []Event{start}, Event{Kind: KindSyscall, Stop: lastStop + 1}},
		{"long text", []Event{start}, Event{Kind: KindNote, Text: string(make([]byte, maxBytes+1))}},
		{"many writes", []Event{start}, Event{Kind: KindWrite, Memory: Memory{Mem: make([]Write, maxMem+1)}}},
		{"many mappings", []Event{start}, Event{Kind: KindWrite, Memory: Memory{Maps: make([]Mapping, maxMappings+1)}}},
		{"much memory", []Event{start}, Event{Kind: KindWrite, Memory: Memory{Mem: repeat(Write{Data: make([]byte, 32<<20)}, 129)}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, dir := create(t)
			s := w.Stream(1)
			appendAll(t, s, tt.before)
			if err := s.Append(&tt.ev); err == nil {
				t.Error("Append took it")
			}
			if err := w.Close(Summary{}); err != nil {
				t.Fatal(err)
			}
			if len(tt.before) == 0 {
				return
			}
			// The reader adds an end where there is none.
			if got := len(mustRead(t, open(t, dir), 1)); got != 2 {
				t.Errorf("%d events, not those before", got)
			}
		})
	}
}

func TestWriterHoldsToTheLimits(t *testing.T) {
	h := testHeader()
	h.Command = []string{string(make([]byte, maxJSON))}
	if _, err := Create(filepath.Join(t.TempDir(), "x"), h); err == nil {
		t.Error("made a recording with a header that can't be read")
	}
	w, dir := create(t)
	for _, id := range []int{-1, 0, maxStreams + 1} {
		if err := w.Stream(id).Append(&Event{Kind: KindStart, Proc: &Process{ID: id}}); err == nil {
			t.Errorf("process %d: Append took it", id)
		}
	}
	long := string(make([]byte, maxPath+1))
	f, st := testFile(t, t.TempDir(), "f", []byte("content"))
	if _, err := w.AddFile(long, int(f.Fd()), st, 7); err == nil {
		t.Error("AddFile took a long path")
	}
	if _, err := w.AddFileBytes(long, nil); err == nil {
		t.Error("AddFileBytes took a long name")
	}
	id, err := w.AddFileBytes(long[1:], []byte("content"))
	if err != nil {
		t.Error(err)
	}
	st.Mode = st.Mode&^0o170000 | 0o20000
	if _, err := w.AddFile("tty", int(f.Fd()), st, 7); err == nil {
		t.Error("AddFile took a device")
	}
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, open(t, dir), id); string(got) != "content" {
		t.Errorf("read %q", got)
	}
}

func repeat[T any](v T, n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = v
	}
	return s
}

func TestRegSum(t *testing.T) {
	base := linux.Regs{Rbx: 1, Rbp: 2, Rsp: 3, R12: 4, R13: 5, R14: 6, R15: 7}
	want := RegSum(&base)
	for name, change := range map[string]func(*linux.Regs){
		"rbx": func(r *linux.Regs) { r.Rbx++ }, "rbp": func(r *linux.Regs) { r.Rbp++ }, "rsp": func(r *linux.Regs) { r.Rsp ^= 1 << 63 },
		"r12": func(r *linux.Regs) { r.R12++ }, "r13": func(r *linux.Regs) { r.R13++ }, "r14": func(r *linux.Regs) { r.R14++ },
		"r15": func(r *linux.Regs) { r.R15 ^= 1 << 63 }, "swap": func(r *linux.Regs) { r.Rbx, r.Rbp = r.Rbp, r.Rbx },
	} {
		r := base
		change(&r)
		if RegSum(&r) == want {
			t.Errorf("%s: the checksum is the same", name)
		}
	}
	r := base
	r.Rax, r.Rcx, r.R11, r.Rdi, r.Rip = 1, 2, 3, 4, 5
	if RegSum(&r) != want {
		t.Error("a register that may change is in the checksum")
	}
	// The value is part of the format.
	if got := RegSum(&linux.Regs{}); got != regSumOfZero {
		t.Errorf("RegSum of zeros = %#x, want %#x", got, uint32(regSumOfZero))
	}
	if n := testing.AllocsPerRun(100, func() { RegSum(&base) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

const regSumOfZero = 0x1e64779b
