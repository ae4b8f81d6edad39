package assert

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/goldentest"
)

// golden compares a text with a file below testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	goldentest.Compare(t, filepath.Join("testdata", name), got)
}

// TestBadSpecs reads each testdata/bad/*.yaml and compares all that is said
// about it with the file beside it.
func TestBadSpecs(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bad specs: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			_, err := Load(file)
			if err == nil {
				t.Fatal("no mistake was found")
			}
			golden(t, "bad/"+name+".txt", err.Error()+"\n")
		})
	}
}

// TestBadSentences holds what is said about single sentences.
func TestBadSentences(t *testing.T) {
	text, err := os.ReadFile("testdata/bad_sentences.txt")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		line, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "? ")
		if !ok {
			continue
		}
		_, err := parseSentence(line, nil)
		if err == nil {
			t.Errorf("no mistake in %q", line)
			continue
		}
		b.WriteString("\n? " + line + "\n")
		p := Place{Line: 1, Col: len([]rune(line[:min(err.start, len(line))])) + 1, Len: err.end - err.start}
		caret := strings.Split(Caret(line, p, strings.Trim(err.msg+"; "+err.hint, "; ")), "\n")
		b.WriteString(" " + strings.TrimPrefix(caret[len(caret)-1], "   |") + "\n")
	}
	golden(t, "bad_sentences.txt", strings.TrimPrefix(b.String(), "\n"))
}

// TestSentences holds what good sentences mean.
func TestSentences(t *testing.T) {
	q := func(text string, from, to, nth int) Quantity {
		return Quantity{Text: text, Min: from, Max: to, Nth: nth}
	}
	one := q("", 1, -1, 0)
	sys := func(text string, names ...string) EventPattern {
		return EventPattern{Kind: KindSyscall, Text: text, Names: names}
	}
	tests := []struct {
		sentence string
		want     Expectation
	}{
		{"connect", Expectation{Quantity: one, Event: sys("connect", "connect")}},
		{"  recv   as  r ", Expectation{ID: "r", Quantity: one, Event: sys("recv", "recvfrom")}},
		{"no sendto", Expectation{Quantity: q("no", 0, 0, 0), Event: sys("sendto", "sendto")}},
		{"exactly 1,000 connect", Expectation{Quantity: q("exactly 1,000", 1000, 1000, 0), Event: sys("connect", "connect")}},
		{"at least 2 connect", Expectation{Quantity: q("at least 2", 2, -1, 0), Event: sys("connect", "connect")}},
		{"at most 2 connect", Expectation{Quantity: q("at most 2", 0, 2, 0), Event: sys("connect", "connect")}},
		{"first connect", Expectation{Quantity: q("first", 1, -1, 1), Event: sys("connect", "connect")}},
		{"last connect", Expectation{Quantity: q("last", 1, -1, -1), Event: sys("connect", "connect")}},
		{"22nd connect", Expectation{Quantity: q("22nd", 22, -1, 22), Event: sys("connect", "connect")}},
		{"signal int", Expectation{Quantity: one, Event: EventPattern{Kind: KindSignal, Text: "signal int", Names: []string{"SIGINT"}}}},
		{"thread start by main", Expectation{Quantity: one, Event: EventPattern{Kind: KindThreadStart, Text: "thread start"},
			Clauses: []Clause{{Kind: ClauseBy, Value: Value{Text: "main"}}}}},
		{"raise requests.ReadTimeout in requests/adapters.py::send", Expectation{Quantity: one,
			Event:   EventPattern{Kind: "raise", Text: "raise requests.ReadTimeout", Operand: "requests.ReadTimeout"},
			Clauses: []Clause{{Kind: ClauseIn, Frame: &FramePattern{Text: "requests/adapters.py::send", File: "requests/adapters.py", Func: "send"}}}}},
		{"call socket.py::getaddrinfo before conn", Expectation{Quantity: one,
			Event:   EventPattern{Kind: "call", Text: "call socket.py::getaddrinfo", Frame: &FramePattern{Text: "socket.py::getaddrinfo", File: "socket.py", Func: "getaddrinfo"}},
			Clauses: []Clause{{Kind: ClauseBefore, Refs: []Ref{{Text: "conn"}}}}}},
		{"line a/b.py:10 directly at b.py:10+-2", Expectation{Quantity: one,
			Event:   EventPattern{Kind: "line", Text: "line a/b.py:10", Frame: &FramePattern{Text: "a/b.py:10", File: "a/b.py", Line: 10}},
			Clauses: []Clause{{Kind: ClauseDirectly, Frame: &FramePattern{Text: "b.py:10+-2", File: "b.py", Line: 10, Slack: 2}}}}},
		{"recv within 5,000 instructions of connect", Expectation{Quantity: one, Event: sys("recv", "recvfrom"),
			Clauses: []Clause{{Kind: ClauseWithin, N: 5000, Unit: UnitInstructions, Refs: []Ref{{Text: "connect", Event: &EventPattern{Kind: KindSyscall, Text: "connect", Names: []string{"connect"}}}}}}}},
		{"recv within 100ms of start", Expectation{Quantity: one, Event: sys("recv", "recvfrom"),
			Clauses: []Clause{{Kind: ClauseWithin, N: 100, Unit: UnitMilliseconds, Refs: []Ref{{Text: "start", Start: true}}}}}},
		{"recv blocked at end for > 2s", Expectation{Quantity: one, Event: sys("recv", "recvfrom"),
			Clauses: []Clause{{Kind: ClauseBlocked, AtEnd: true, Cmp: ">", Duration: 2000 * ms}}}},
		{"recv blocked for 1.5 s by 2", Expectation{Quantity: one, Event: sys("recv", "recvfrom"),
			Clauses: []Clause{{Kind: ClauseBlocked, Cmp: ">=", Duration: 1500 * ms}, {Kind: ClauseBy, Value: Value{Text: "2"}}}}},
		{"recv taking >=2s", Expectation{Quantity: one, Event: sys("recv", "recvfrom"),
			Clauses: []Clause{{Kind: ClauseTaking, Cmp: ">=", Duration: 2000 * ms}}}},
		{"connect failing with ewouldblock", Expectation{Quantity: one, Event: sys("connect", "connect"),
			Clauses: []Clause{{Kind: ClauseFailing, Value: Value{Text: "EAGAIN"}}}}},
		{`connect failing with fd=$s.fd, addr="a b"`, Expectation{Quantity: one, Event: sys("connect", "connect"),
			Clauses: []Clause{{Kind: ClauseFailing}, {Kind: ClauseWith, Args: []ArgPattern{
				{"fd", Value{Text: "$s.fd", Capture: &Capture{ID: "s", Field: "fd"}}}, {"addr", Value{Text: "a b", Quoted: true}}}}}}},
		{`recv by "Thread-1 (run)" on same fd between a and thread exit`, Expectation{Quantity: one, Event: sys("recv", "recvfrom"),
			Clauses: []Clause{{Kind: ClauseBy, Value: Value{Text: "Thread-1 (run)", Quoted: true}}, {Kind: ClauseSameFD},
				{Kind: ClauseBetween, Refs: []Ref{{Text: "a"}, {Text: "thread exit", Event: &EventPattern{Kind: KindThreadExit, Text: "thread exit"}}}}}}},
		{"connect to [::1]:80 returning < 0 after exec", Expectation{Quantity: one, Event: sys("connect", "connect"),
			Clauses: []Clause{{Kind: ClauseTo, Value: Value{Text: "[::1]:80"}}, {Kind: ClauseReturning, Cmp: "<", Value: Value{Text: "0"}},
				{Kind: ClauseAfter, Refs: []Ref{{Text: "exec", Event: &EventPattern{Kind: KindExec, Text: "exec"}}}}}}},
		{"open on /tmp/*.txt through PyEval_EvalCode under f.<locals>.<lambda>", Expectation{Quantity: one, Event: sys("open", "openat", "open", "openat2", "creat"),
			Clauses: []Clause{{Kind: ClausePath, Value: Value{Text: "/tmp/*.txt"}}, {Kind: ClauseThrough, Value: Value{Text: "PyEval_EvalCode"}},
				{Kind: ClauseUnder, Frame: &FramePattern{Text: "f.<locals>.<lambda>", Func: "f.<locals>.<lambda>"}}}}},
	}
	places := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Place" }, cmp.Ignore())
	for _, tt := range tests {
		t.Run(tt.sentence, func(t *testing.T) {
			got, err := ParseSentence(tt.sentence)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Text = strings.Join(strings.Fields(tt.sentence), " ")
			if diff := cmp.Diff(&tt.want, got, places, cmp.AllowUnexported(Ref{}, Capture{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
