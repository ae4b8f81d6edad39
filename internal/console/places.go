package console

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"pyrr/internal/mem"
	"pyrr/internal/printable"
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

// lineOfC finds the code of a line of C in what is mapped here, unless the file is one
// of Python's.
func (c *Console) lineOfC(file string, line int) (addr uint64, at int, ok bool) {
	if len(c.sourcesOf(file)) > 0 || strings.HasSuffix(file, ".py") {
		return 0, 0, false
	}
	if err := c.modules(func(_ mem.Reader, s *unwind.Modules) { addr, at, ok = s.AddrOfLine(file, line) }); err != nil {
		return 0, 0, false
	}
	return addr, at, ok
}

// neverHit says why a breakpoint at a line of Python will not be hit, "" where it may.
func (c *Console) neverHit(b *replay.Break) string {
	if b.Kind != replay.BreakLine || len(c.sourcesOf("")) == 0 {
		return ""
	}
	files := c.sourcesOf(b.File)
	if len(files) == 0 {
		return fmt.Sprintf("No file %s is among those of Python that ran. Lines of C are found where their library is loaded: goto end, then break there.", printable.Line(b.File))
	}
	if n := len(c.sourceText(files[0])); b.Line > n {
		return fmt.Sprintf("%s had %d lines when it ran.", printable.Line(files[0]), n)
	}
	return ""
}

// listed is a part of a file that list was asked for: FILE:LINE or a function.
func (c *Console) findListed(args string) (file string, line int, err error) {
	if m := fileLine.FindStringSubmatch(args); m != nil {
		fmt.Sscan(m[2], &line) // the expression has digits
		if files := c.sourcesOf(m[1]); len(files) > 0 {
			return files[0], line, nil
		}
		addr, _, ok := c.lineOfC(m[1], line)
		if !ok {
			return "", 0, fmt.Errorf("the recording has no source of %s", args)
		}
		file, _, err = c.listedC(addr)
		return file, line, err
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

// notHere says of a command that pyrr has not why that is so.
func notHere(name string) error {
	instead, ok := impossible[name]
	if !ok {
		return fmt.Errorf("undefined command: %q; try \"help\"", name)
	}
	text := fmt.Sprintf("%s: a recording is of one run, which nothing changes or runs anew", name)
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
