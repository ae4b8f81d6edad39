package console

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"pyrr/internal/mem"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// sourcesOf lists the files of Python's in the recording that a name may mean, its
// path or the end of it, the shortest first; all for "".
func (c *Console) sourcesOf(name string) []string {
	files, err := c.rec.Sources()
	if err != nil {
		return nil
	}
	var out []string
	for _, f := range slices.Sorted(maps.Keys(files)) {
		if name == "" || f == name || strings.HasSuffix(f, "/"+name) {
			out = append(out, f)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return len(a) - len(b) })
	return out
}

// eachFile calls f with each program and library of the recording, loaded here or not.
func (c *Console) eachFile(f func(recording.FileID, *unwind.File)) {
	for _, file := range c.rec.Files() {
		im, err := c.w.Files.Get(file.ID, file.Path, func() (io.ReaderAt, int64, error) { return c.rec.ReadFile(file.ID) })
		if err == nil {
			f(file.ID, im)
		}
	}
}

// placeOfC is the code of a line of C.
type placeOfC struct {
	code []replay.CodeAt
	line int
	path string // of the source
}

// lineOfC finds the code of a line of C in the files of the recording, unless the source
// is one of Python's.
func (c *Console) lineOfC(file string, line int) (p placeOfC, ok bool) {
	if len(c.sourcesOf(file)) > 0 || strings.HasSuffix(file, ".py") {
		return p, false
	}
	c.eachFile(func(id recording.FileID, im *unwind.File) {
		addr, at, path, found := im.AddrOfLine(file, line)
		switch {
		case !found || ok && at > p.line:
			return
		case !ok || at < p.line:
			p = placeOfC{line: at, path: path}
		}
		p.code, ok = append(p.code, replay.CodeAt{File: id, Addr: addr}), true
	})
	return p, ok
}

// functionOfC finds the code of the functions of a name in the files of the recording,
// behind what sets up their frames; moved says that this is not where they begin.
func (c *Console) functionOfC(name string) (code []replay.CodeAt, moved bool) {
	c.eachFile(func(id recording.FileID, im *unwind.File) {
		for _, addr := range im.FunctionsNamed(name) {
			at := im.AfterPrologue(addr)
			code, moved = append(code, replay.CodeAt{File: id, Addr: at}), moved || at != addr
		}
	})
	return code, moved
}

// breakFunction makes a breakpoint on a function that is named as C or Python has it.
func (c *Console) breakFunction(b *replay.Break, name string) {
	name, inC := strings.CutPrefix(name, "c:")
	var code []replay.CodeAt
	moved, exported := false, false
	if inC || !strings.Contains(name, ".") {
		code, moved = c.functionOfC(name)
		exported = c.x.Exports(name)
	}
	if len(code) > 0 {
		b.Code = &code
	}
	switch {
	case b.Code != nil && (inC || exported && moved || !exported && !c.isDefined(name)):
		b.Kind, b.Name = replay.BreakCode, name
	case inC || exported:
		b.Kind, b.Name, b.Code = replay.BreakSymbol, name, nil
	default: // where a function that other files don't see has the name too, both
		b.Kind, b.Func = replay.BreakCall, name
	}
}

// isDefined says whether the sources of Python that ran define a function of the name, or
// of the last part of one.
func (c *Console) isDefined(name string) bool {
	name = name[strings.LastIndexByte(name, '.')+1:]
	def := regexp.MustCompile(`(?m)^\s*(async\s+def|def|class)\s+` + regexp.QuoteMeta(name) + `\b`)
	return slices.ContainsFunc(c.sourcesOf(""), func(file string) bool {
		return def.MatchString(strings.Join(c.sourceText(file), "\n"))
	})
}

// neverHit says why a breakpoint at a line of Python will not be hit, "" where it may.
func (c *Console) neverHit(b *replay.Break) string {
	if len(c.sourcesOf("")) == 0 {
		return ""
	}
	if b.Kind == replay.BreakCall && b.Func != "" && b.Func[0] != '<' && b.Code == nil && !c.isDefined(b.Func) {
		return fmt.Sprintf("No function %s is defined in the sources that ran, and none of C has that name.", printable.Line(b.Func))
	}
	if b.Kind != replay.BreakLine {
		return ""
	}
	files := c.sourcesOf(b.File)
	if len(files) == 0 {
		return fmt.Sprintf("No file %s is among those of Python that ran, and no debug information of C is at hand for it.", printable.Line(b.File))
	}
	if n := len(c.sourceText(files[0])); b.Line > n {
		return fmt.Sprintf("%s had %d lines when it ran.", printable.Line(files[0]), n)
	}
	return ""
}

// listed is a part of a file that list was asked for: FILE:LINE or a function.
func (c *Console) findListed(args string) (file string, line int, err error) {
	if m := fileLine().FindStringSubmatch(args); m != nil {
		fmt.Sscan(m[2], &line) // the expression has digits
		if files := c.sourcesOf(m[1]); len(files) > 0 {
			return files[0], line, nil
		}
		p, ok := c.lineOfC(m[1], line)
		if !ok {
			return "", 0, fmt.Errorf("the recording has no source of %s", args)
		}
		text, err := readNative(p.path)
		if err != nil {
			return "", 0, fmt.Errorf("the source is %s, %w", p.path, err)
		}
		c.keepNative(p.path, text)
		return p.path, line, nil
	}
	name := args[strings.LastIndexByte(args, '.')+1:]
	def := regexp.MustCompile(`^\s*(async\s+def|def|class)\s+` + regexp.QuoteMeta(name) + `\b`)
	files := c.sourcesOf("")
	if f, err := c.pythonFrame(); err == nil {
		files = append([]string{f.File}, files...) // that of the frame goes before
	}
	for _, file := range files {
		for i, text := range c.sourceText(file) {
			if def.MatchString(text) {
				return file, i + 1, nil
			}
		}
	}
	addr, err := c.number(args)
	if err != nil {
		return "", 0, fmt.Errorf("no function %q: list takes LINE, FILE:LINE or a function of Python or C", args)
	}
	return c.listedC(addr)
}

// listedC finds the source line of an address of C's, and reads the file from this
// machine.
func (c *Console) listedC(addr uint64) (file string, line int, err error) {
	if err := c.modules(func(_ mem.Reader, s *unwind.Modules) { file, line, _, _ = s.LineAt(addr) }); err != nil {
		return "", 0, err
	}
	if line == 0 {
		return "", 0, errors.New("no line number information of it is at hand")
	}
	text, err := readNative(file)
	if err != nil {
		return "", 0, fmt.Errorf("line %d of %s: %w", line, file, err)
	}
	c.keepNative(file, text)
	return file, line, nil
}

// impossible are commands of gdb's that a recording can't do, with what can be done.
var impossible = map[string]string{
	"run": "goto start", "r": "goto start", "start": "goto start", "kill": "quit", "attach": "pyrr explain --pid PID asks a live process", "detach": "quit",
	"call": "print shows what needs nothing executed", "jump": "goto goes to another time", "return": "finish", "signal": "catch signal stops at those that came",
	"generate-core-file": "pyrr pack makes one file of the recording", "tui": "list shows the source", "layout": "list shows the source",
	"python": "--json answers scripts in any language", "guile": "--json answers scripts in any language",
	"if": "breakpoints take conditions", "while": "breakpoints have commands", "document": "", "rbreak": "break takes one function", "load": "", "file": "",
}

// notHere says why pyrr does not have a command.
func notHere(name string) error {
	instead, ok := impossible[name]
	if !ok {
		return fmt.Errorf("undefined command: %q; try \"help\"", name)
	}
	text := fmt.Sprintf("%s: a recording is of one run, which nothing changes or runs again", name)
	if instead != "" {
		text += "; " + instead
	}
	return errors.New(text)
}

// set accepts gdb's settings, which scripts begin with. A variable can't be set.
func (c *Console) set(args string) error {
	what, rest, _ := strings.Cut(args, " ")
	if len(what) >= 3 && strings.HasPrefix("variable", what) || strings.HasPrefix(strings.TrimSpace(rest), "=") || strings.Contains(what, "=") {
		return errors.New("set: a recording is of one run: no variable, register or memory can be changed in it")
	}
	return nil
}
