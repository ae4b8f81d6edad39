package stack

import (
	"path"
	"strings"

	"pyrr/internal/lazyregexp"
)

// Origin says whose code a frame runs.
type Origin uint8

// The origins of Python files.
const (
	Project   Origin = iota + 1 // below the project's root
	Package                     // in site-packages or dist-packages
	Stdlib                      // in the standard library
	Elsewhere                   // anything else
)

// Paths shortens the file names of a recorded program, so that the same
// program gives the same names wherever it and its Python are installed.
type Paths struct {
	// Root is the project's root: files below it are named from it.
	Root string
}

// stdlibDir is the folder of the standard library in all layouts of an
// installed CPython: PREFIX/lib/pythonX.Y (sysconfig, scheme posix_prefix),
// lib64 on some systems, a "t" at the end for free-threaded builds.
var stdlibDir = lazyregexp.New(`/lib(?:64)?/python3\.?\d*t?(?:\.zip)?/`)

// Short returns the name of a Python file without what differs between
// installations, and the file's origin.
func (p Paths) Short(file string) (string, Origin) {
	if strings.HasPrefix(file, "<") {
		if strings.HasPrefix(file, "<frozen ") {
			return file, Stdlib
		}
		return file, Elsewhere
	}
	for _, dir := range [...]string{"/site-packages/", "/dist-packages/"} {
		if i := strings.LastIndex(file, dir); i >= 0 {
			return file[i+len(dir):], Package
		}
	}
	if m := stdlibDir().FindStringIndex(file); m != nil {
		return file[m[1]:], Stdlib
	}
	if p.Root != "" {
		root := strings.TrimSuffix(path.Clean(p.Root), "/") + "/"
		if rest, ok := strings.CutPrefix(path.Clean(file), root); ok {
			return rest, Project
		}
	}
	if file != "" && !path.IsAbs(file) {
		return path.Clean(file), Project
	}
	return file, Elsewhere
}

// SourceText gives the text of a line of a source file, false when the file
// is not at hand.
type SourceText func(file string, line int) (string, bool)

// Normal returns a copy of the stack as goldens hold it: file names
// shortened, C symbols without compiler and linker suffixes, modules without
// folders, the source text beside the line. text may be nil. A file in which
// a frame's columns don't fall on the bounds of an expression is not the one
// that ran, and none of its text is taken.
func (p Paths) Normal(s Stack, text SourceText) Stack {
	frames := make([]Frame, len(s.Frames))
	other := map[string]bool{}
	for i, f := range s.Frames {
		f.Text = ""
		if f.Kind == Python && text != nil && f.Line > 0 {
			if t, ok := text(f.File, f.Line); ok {
				f.Text = tidy(t)
				other[f.File] = other[f.File] || !f.agrees(t)
			}
		}
		frames[i] = f
	}
	for i := range frames {
		f := &frames[i]
		switch f.Kind {
		case Python:
			if other[f.File] {
				f.Text = ""
			}
			f.File, _ = p.Short(f.File)
		case C:
			f.Func = symbolName(f.Func)
			f.Module = path.Base(strings.TrimSuffix(f.Module, " (deleted)"))
			if f.Module == "." || f.Module == "/" {
				f.Module = ""
			}
			f.File, f.Line, f.Offset = "", 0, 0
		}
	}
	s.Frames = frames
	return s
}

// agrees reports whether the line can be the one that the frame's columns
// are about: they are those of an expression or a statement, which begins and
// ends with a token and leaves no bracket open.
func (f *Frame) agrees(line string) bool {
	start, end := f.Col-1, len(line)
	if start < 0 || f.EndCol == 0 {
		return true
	}
	if f.EndLine == f.Line {
		end = f.EndCol - 1
	}
	if start >= end || end > len(line) || isBlank(line[start]) {
		return false
	}
	if start > 0 && inWord(line[start-1]) && inWord(line[start]) {
		return false
	}
	if f.EndLine != f.Line {
		return true
	}
	if isBlank(line[end-1]) || end < len(line) && inWord(line[end-1]) && inWord(line[end]) {
		return false
	}
	code := line[start:end]
	if strings.ContainsAny(code, "'\"#") {
		return true // brackets in a text count for nothing
	}
	for _, pair := range [...]string{"()", "[]", "{}"} {
		if strings.Count(code, pair[:1]) != strings.Count(code, pair[1:]) {
			return false
		}
	}
	return true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// inWord reports whether a byte is part of a name or a number.
func inWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// compilerSuffix matches what GCC and LLVM append to a function's clones.
var compilerSuffix = lazyregexp.New(`(?:\.(?:isra|cold|part|constprop|lto_priv|llvm|warm|__uniq)(?:\.\d+)*)+$`)

// symbolName strips clone suffixes, symbol versions (recv@@GLIBC_2.2.5) and
// the mark of a PLT entry (recv@plt).
func symbolName(name string) string {
	if i := strings.IndexByte(name, '@'); i > 0 {
		name = name[:i]
	}
	return compilerSuffix().ReplaceAllString(name, "")
}
