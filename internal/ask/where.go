package ask

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/pystate"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// The kinds of what a text is found in.
const (
	FoundPrint     = "print"     // given to print()
	FoundOutput    = "output"    // written to the command's own output
	FoundWritten   = "written"   // written to any other descriptor
	FoundSent      = "sent"      // sent to a socket
	FoundLog       = "log"       // the message of a record of logging
	FoundException = "exception" // of an exception that is raised
	FoundFile      = "file"      // the path of a file that is opened
	FoundQuery     = "query"     // given to a database's library
)

// FoundKinds lists them.
var FoundKinds = []string{FoundPrint, FoundOutput, FoundWritten, FoundSent, FoundLog, FoundException, FoundFile, FoundQuery}

// Found is a moment at which a text came up.
type Found struct {
	Moment
	Kind string
	Text string // the line that has it, cut around it
}

// WhereOptions say what is looked for.
type WhereOptions struct {
	Kinds []string // none for all
	// First ends after so many, 0 for all.
	First     int
	Replaying func()
	// Progress is told how far the replay of a process has come.
	Progress func(proc int, instr uint64)
}

// queries are the functions of database libraries that are given a query, and
// which argument it is, from 0 (System V ABI).
var queries = map[string]int{
	"sqlite3_prepare": 1, "sqlite3_prepare_v2": 1, "sqlite3_prepare_v3": 1,
	"PQexec": 1, "PQsendQuery": 1, "PQexecParams": 1, "PQsendQueryParams": 1, "PQprepare": 2, "PQsendPrepare": 2,
	"mysql_real_query": 1,
}

// Limits of what is searched: of one call's bytes, and of what a print has given so
// far on its line.
const (
	maxSearched = 1 << 20
	maxPrinted  = 64 << 10
	maxLine     = 200
)

type finder struct {
	*asked
	text string
	o    *WhereOptions
	out  func(*Found) error
	n    int
	// printed is what threads have given to print on a line that has not ended.
	printed map[nameKey]*printing
	logged  map[nameKey]record // whose message a thread asked for last
	queried map[nameKey]string // what a database's library was given last
}

// record is one of logging's: where it lies, and when it was created.
type record struct {
	addr    uint64
	created string
}

// printing is a line of print: where its beginning was given.
type printing struct {
	at   Moment
	line strings.Builder
	// string is what was given as a C string last, at the count pos.
	string string
	pos    uint64
}

// Where hands on each moment at which a text was printed, written, sent, logged,
// raised, opened or queried.
func Where(rec *recording.Recording, text string, o WhereOptions, out func(*Found) error) (int, error) {
	a, err := newAsked(rec)
	if err != nil {
		return 0, err
	}
	for _, k := range o.Kinds {
		if !slices.Contains(FoundKinds, k) {
			return 0, &UsageError{fmt.Errorf("there is no kind %q; kinds are %s", k, strings.Join(FoundKinds, ", "))}
		}
	}
	if text == "" {
		return 0, &UsageError{errors.New("an empty text is everywhere")}
	}
	f := &finder{asked: a, text: text, o: &o, out: out, printed: map[nameKey]*printing{}, logged: map[nameKey]record{}, queried: map[nameKey]string{}}
	opts := replay.Options{OnHit: f.hit, OnEvent: f.event, Pass: func(_ int, _ uint64, ev *recording.Event) bool { return !f.takes(ev) }, Breaks: f.breaks(), Progress: o.Progress}
	if o.Replaying != nil {
		o.Replaying()
	}
	if _, err = replay.Batch(rec, opts); errors.Is(err, errEnough) {
		err = nil
	}
	return f.n, err
}

func (f *finder) wants(kind string) bool {
	return len(f.o.Kinds) == 0 || slices.Contains(f.o.Kinds, kind)
}

func (f *finder) breaks() []*replay.Break {
	var out []*replay.Break
	if f.wants(FoundPrint) {
		// builtin_print (Python/bltinmodule.c) gives each piece to one of these.
		out = append(out, &replay.Break{Kind: replay.BreakSymbol, Name: "PyFile_WriteObject"}, &replay.Break{Kind: replay.BreakSymbol, Name: "PyFile_WriteString"})
	}
	if sum, ok := f.rec.Summary(); f.wants(FoundLog) && (!ok || sum.Instructions > 0) {
		out = append(out, &replay.Break{Kind: replay.BreakReturn, File: "logging/__init__.py", Func: "getMessage"})
	}
	if f.wants(FoundException) {
		out = append(out, &replay.Break{Kind: replay.BreakRaise})
	}
	if f.wants(FoundQuery) {
		for name := range queries {
			out = append(out, &replay.Break{Kind: replay.BreakSymbol, Name: name})
		}
	}
	return out
}

// takes says whether an event is one that may have the text.
func (f *finder) takes(ev *recording.Event) bool {
	if ev.Kind != recording.KindSyscall && ev.Kind != recording.KindEnter {
		return false
	}
	if _, ok := linux.Gives(int(ev.Nr)); ok {
		return f.wants(FoundOutput) || f.wants(FoundWritten) || f.wants(FoundSent) || f.wants(FoundQuery)
	}
	return f.wants(FoundFile) && opens(ev.Nr)
}

func opens(nr int32) bool {
	switch linux.Name(int(nr)) {
	case "open", "openat", "openat2", "creat":
		return true
	}
	return false
}

func (f *finder) event(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
	if t == nil || !f.takes(ev) {
		return nil
	}
	kind, text := f.given(p, ev)
	if kind == FoundSent || kind == FoundWritten {
		if queries := wireQueries([]byte(text)); queries != nil {
			kind, text = FoundQuery, strings.Join(queries, "; ")
			if key := (nameKey{p.Info.ID, t.TID}); f.queried[key] != "" && strings.Contains(text, f.queried[key]) {
				f.queried[key] = "" // the library was given it before
				return nil
			}
		}
	}
	if !f.wants(kind) || !strings.Contains(text, f.text) {
		return nil
	}
	m := f.moment(p, t, recording.Pos{Instr: ev.Instr, Event: p.Number})
	m.Time = ev.Time
	return f.found(&Found{Moment: m, Kind: kind, Text: text})
}

// given is what a call is given to write, or to open.
func (f *finder) given(p *replay.Process, ev *recording.Event) (kind, text string) {
	m := p.Mem()
	arg, ok := linux.Gives(int(ev.Nr))
	if !ok {
		at := 1
		if name := linux.Name(int(ev.Nr)); name == "open" || name == "creat" {
			at = 0
		}
		s, _, err := mem.CString(m, ev.Args[at], 4096)
		if err != nil {
			return FoundFile, ""
		}
		return FoundFile, s
	}
	kind = FoundWritten
	switch {
	case strings.HasPrefix(linux.Name(int(ev.Nr)), "send"):
		kind = FoundSent
	case ev.Why == recording.OutStdout || ev.Why == recording.OutStderr || ev.OutSum != 0 || ev.Args[arg] == 1 || ev.Args[arg] == 2:
		kind = FoundOutput
	}
	var all []byte
	for _, r := range linux.Given(int(ev.Nr), ev.Args, m, nil) {
		n := min(r.Len, uint64(maxSearched-len(all)))
		b := make([]byte, n)
		if m.ReadAt(b, r.Addr) != nil {
			break
		}
		all = append(all, b...)
	}
	return kind, string(all)
}

// moment is a moment with the program's own innermost frame.
func (f *finder) moment(p *replay.Process, t *replay.Thread, at recording.Pos) Moment {
	m := Moment{Process: p.Info.ID, PID: p.Info.PID, TID: t.TID, Pos: at, Time: f.timeBefore(p.Info.ID, at.Event), Thread: f.name(p.Info.ID, t.TID, at.Event)}
	if m.Thread == "" {
		if pt, err := p.PyThread(t); err == nil {
			m.Thread = pt.Name
		}
	}
	if fr, ok := ownFrame(p, t); ok {
		m.frame(&fr.Frame)
	}
	return m
}

// hit looks at a stop at one of the breakpoints.
func (f *finder) hit(h *replay.Hit) error {
	rt, err := h.Process.Runtime()
	if err != nil {
		return nil
	}
	for _, b := range h.Breaks {
		kind, text := "", ""
		switch {
		case b.Kind == replay.BreakRaise && h.Exception != nil:
			kind, text = FoundException, f.raised(rt, h)
		case b.Kind == replay.BreakReturn:
			kind, text = FoundLog, f.message(rt, h)
		case strings.HasPrefix(b.Name, "PyFile_Write"):
			if err := f.print(rt, h, b.Name); err != nil {
				return err
			}
			continue
		case b.Kind == replay.BreakSymbol:
			regs := h.Thread.Regs()
			addr := regs.FuncArgs()[queries[b.Name]]
			kind = FoundQuery
			text, _, _ = mem.CString(h.Process.Mem(), addr, maxPrinted)
		}
		if kind == FoundQuery {
			f.queried[nameKey{h.Process.Info.ID, h.Thread.TID}] = text
		}
		if kind == "" || !strings.Contains(text, f.text) {
			continue
		}
		if err := f.found(&Found{Moment: f.moment(h.Process, h.Thread, h.Pos), Kind: kind, Text: text}); err != nil {
			return err
		}
	}
	return nil
}

func (f *finder) raised(rt *cpython.Runtime, h *replay.Hit) string {
	if strings.Contains(h.Exception.Text, f.text) || h.Exception.Addr == 0 {
		return h.Exception.Text
	}
	return h.Exception.Type + ": " + pystate.Message(rt, h.Process.Mem(), h.Exception.Addr)
}

// message is what a record of logging says, once for each record: each handler asks
// for it.
func (f *finder) message(rt *cpython.Runtime, h *replay.Hit) string {
	fr, err := h.Process.TopFrame(h.Thread)
	if err != nil || h.Code == nil {
		return ""
	}
	m := h.Process.Mem()
	v, err := rt.Returned(m, fr, h.Code, h.Offset)
	if err != nil {
		return ""
	}
	i := rt.Inspect(m)
	defer i.Release()
	key := nameKey{h.Process.Info.ID, h.Thread.TID}
	if obj := i.Vars(&fr)["self"]; obj != 0 {
		// The next record mostly gets the memory of the last one.
		this := record{obj, i.Text(i.Attr(obj, "created"), maxLine)}
		if f.logged[key] == this {
			return ""
		}
		f.logged[key] = this
	}
	return i.Str(v.Addr)
}

// print gathers what a print gives, up to the end of a line.
func (f *finder) print(rt *cpython.Runtime, h *replay.Hit, fn string) error {
	regs := h.Thread.Regs()
	what := regs.FuncArgs()[0]
	m := h.Process.Mem()
	text := ""
	if fn == "PyFile_WriteString" {
		text, _, _ = mem.CString(m, what, maxPrinted)
	} else {
		i := rt.Inspect(m)
		if text = i.Str(what); text == "" {
			text = i.Text(what, maxLine)
		}
		i.Release()
	}
	key := nameKey{h.Process.Info.ID, h.Thread.TID}
	k := f.printed[key]
	if k == nil {
		k = &printing{}
		f.printed[key] = k
	}
	// A string becomes an object, and is given on as that.
	again := fn != "PyFile_WriteString" && k.string == text && k.pos == h.Pos.Instr
	k.string, k.pos = "", h.Pos.Instr
	if again {
		return nil
	}
	if fn == "PyFile_WriteString" {
		k.string = text
	}
	before := strings.Contains(k.line.String(), f.text)
	k.line.WriteString(text)
	now := strings.Contains(k.line.String(), f.text)
	if now && !before {
		k.at = f.moment(h.Process, h.Thread, h.Pos)
	}
	if !strings.Contains(text, "\n") && k.line.Len() < maxPrinted {
		return nil
	}
	line := k.line.String()
	k.line.Reset()
	if !now {
		return nil
	}
	return f.found(&Found{Moment: k.at, Kind: FoundPrint, Text: line})
}

// found hands on what was found, with the line that has the text.
func (f *finder) found(x *Found) error {
	x.Text = lineWith(x.Text, f.text)
	f.n++
	if err := f.out(x); err != nil {
		return err
	}
	if f.o.First > 0 && f.n >= f.o.First {
		return errEnough
	}
	return nil
}

// lineWith returns the line of a text that has the word, cut around it.
func lineWith(text, word string) string {
	i := strings.Index(text, word)
	if i < 0 {
		return ""
	}
	lo, hi := strings.LastIndexByte(text[:i], '\n')+1, len(text)
	if n := strings.IndexByte(text[i+len(word):], '\n'); n >= 0 {
		hi = i + len(word) + n
	}
	before, after := "", ""
	if i-lo > maxLine/2 {
		lo, before = i-maxLine/2, "…"
	}
	if hi-i > maxLine+len(word) {
		hi, after = i+maxLine+len(word), "…"
	}
	return before + strings.ToValidUTF8(text[lo:hi], "�") + after
}
