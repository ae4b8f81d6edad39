package ask

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/lazyregexp"
	"pyrr/internal/linux"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// Place is what a print waits for.
type Place struct {
	text   string
	breaks []*replay.Break
	calls  []int32 // numbers of system calls, where it is one of these
}

var fileLine = lazyregexp.New(`^(.+):(\d+)$`)

// ParsePlace reads a place: FILE:LINE, FUNCTION, FILE::FUNCTION, c:FUNCTION, "raise"
// with or without a class, "syscall NAME".
func ParsePlace(text string) (*Place, error) {
	text = strings.TrimSpace(text)
	p := &Place{text: text}
	word, name, _ := strings.Cut(text, " ")
	name = strings.TrimSpace(name)
	file, fn, inFile := strings.Cut(text, "::")
	m := fileLine().FindStringSubmatch(text)
	switch {
	case text == "":
		return nil, errors.New("where? FILE:LINE, FUNCTION, FILE::FUNCTION, c:FUNCTION, raise [CLASS], syscall NAME")
	case word == "raise":
		name = name[strings.LastIndexByte(name, '.')+1:] // a class is known by its plain name
		p.breaks = []*replay.Break{{Kind: replay.BreakRaise, Name: name}}
	case word == "syscall":
		for _, real := range append(linux.Aliases(name), name) {
			if nr, ok := linux.Number(real); ok {
				p.calls = append(p.calls, int32(nr))
			}
		}
		if len(p.calls) == 0 {
			return nil, fmt.Errorf("there is no system call %q", name)
		}
	case strings.ContainsAny(text, " \t"):
		return nil, fmt.Errorf("%q is not a place: FILE:LINE, FUNCTION, FILE::FUNCTION, c:FUNCTION, raise [CLASS], syscall NAME", text)
	case strings.HasPrefix(text, "c:") && m == nil && !inFile:
		if name = text[2:]; name == "" {
			return nil, errors.New("c: which function? c:FUNCTION is one of C's")
		}
		p.breaks = []*replay.Break{{Kind: replay.BreakSymbol, Name: name}}
	case inFile:
		p.function(file, fn)
	case m != nil:
		line, err := strconv.Atoi(m[2])
		if err != nil || line < 1 {
			return nil, fmt.Errorf("%s: lines count from 1", text)
		}
		p.breaks = []*replay.Break{{Kind: replay.BreakLine, File: m[1], Line: line}}
	case strings.Contains(text, ":"):
		return nil, fmt.Errorf("%q is not a place: behind FILE: comes a line, from 1 on, or :FUNCTION", text)
	default:
		p.function("", text)
	}
	return p, nil
}

func (p *Place) function(file, fn string) {
	p.breaks = []*replay.Break{
		{Kind: replay.BreakCall, File: file, Func: fn},
		{Kind: replay.BreakReturn, File: file, Func: fn},
	}
}

// Logged says that the place is one that the log tells of.
func (p *Place) Logged() bool { return len(p.calls) > 0 }

// takes says whether an event is of the system calls that are waited for, and
// not the second half of one.
func (p *Place) takes(ev *recording.Event) bool {
	return (ev.Kind == recording.KindSyscall || ev.Kind == recording.KindEnter) && slices.Contains(p.calls, ev.Nr)
}

// python says that the place is one of Python's, which takes counted instructions.
func (p *Place) python() bool { return len(p.breaks) > 0 && p.breaks[0].Kind <= replay.BreakReturn }

// WhyNever says why a place was never passed, as far as the sources of the
// recording tell.
func WhyNever(rec *recording.Recording, p *Place) string {
	if len(p.breaks) > 0 && p.breaks[0].Kind == replay.BreakSymbol {
		return fmt.Sprintf("no function %s of C's was called, or it is known inside of its file alone", p.breaks[0].Name)
	}
	sources, err := rec.Sources()
	if err != nil || len(sources) == 0 || len(p.breaks) == 0 || p.breaks[0].Kind > replay.BreakReturn {
		return "nothing of the kind happened"
	}
	b := p.breaks[0]
	var files []string
	for name := range sources {
		if b.File == "" || name == b.File || strings.HasSuffix(name, "/"+strings.TrimPrefix(b.File, "/")) {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	if len(files) == 0 {
		return fmt.Sprintf("no file %s ran that the recording has a text of", b.File)
	}
	if b.Kind == replay.BreakLine {
		lines := strings.Split(strings.TrimSuffix(string(sources[files[0]]), "\n"), "\n")
		if b.Line > len(lines) {
			return fmt.Sprintf("%s had %d lines when it ran", b.File, len(lines))
		}
		text := strings.TrimSpace(lines[b.Line-1])
		if text == "" || text[0] == '#' {
			return fmt.Sprintf("line %d of %s has no code", b.Line, b.File)
		}
		return fmt.Sprintf("line %d never ran, or a statement of several lines has it in its midst: %s", b.Line, text)
	}
	name := b.Func[strings.LastIndexByte(b.Func, '.')+1:]
	def := regexp.MustCompile(`(?m)^\s*(async\s+)?def\s+` + regexp.QuoteMeta(name) + `\b`)
	for _, f := range files {
		if def.Match(sources[f]) {
			return fmt.Sprintf("%s defines %s, which was not called", f, name)
		}
	}
	if _, ok := linux.Number(b.Func); ok {
		return fmt.Sprintf("no function of Python's is called %s; the system call is \"syscall %s\"", b.Func, b.Func)
	}
	return fmt.Sprintf("no file that ran defines %s", b.Func)
}
