package assert

import (
	"strconv"
	"strings"

	"pyrr/internal/stack"
)

// FramePattern names a line or a function of Python code.
type FramePattern struct {
	Text string
	// File is matched by whole path components from the right, "" for any.
	File string
	// Line is 0 for none; Slack is N of ±N.
	Line, Slack int
	// Func is matched by whole parts of the qualified name from the right.
	Func string
}

// parseFrame reads FILE:LINE, FILE:LINE±N, FILE::FUNCTION or FUNCTION; off
// is where the text stands in the sentence.
func parseFrame(s string, off int) (*FramePattern, *mistake) {
	f := &FramePattern{Text: s}
	at := func(from, to int, hint, format string, args ...any) (*FramePattern, *mistake) {
		return nil, wrong(off+from, off+max(to, from+1), hint, format, args...)
	}
	if file, fn, ok := strings.Cut(s, "::"); ok {
		switch {
		case file == "":
			return at(0, 2, "", "a file is missing before ::")
		case fn == "":
			return at(len(file), len(s), "", "a function is missing after ::")
		case !isFunction(fn):
			return at(len(file)+2, len(s), "", "%q is not the name of a function", fn)
		}
		f.File, f.Func = file, fn
		return f, nil
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		f.File = s[:i]
		num := s[i+1:]
		line, slack, tolerant := strings.Cut(num, "±")
		if !tolerant {
			line, slack, tolerant = strings.Cut(num, "+-")
		}
		var err error
		if f.Line, err = strconv.Atoi(line); err != nil || f.Line < 1 || f.Line > maxLineNumber {
			return at(i+1, len(s), "FILE:LINE or FILE::FUNCTION", "%q is not a line number", line)
		}
		if tolerant {
			if f.Slack, err = strconv.Atoi(slack); err != nil || f.Slack < 0 || f.Slack > maxLineNumber {
				return at(len(s)-len(slack), len(s), "", "%q is not a number of lines", slack)
			}
		}
		if f.File == "" {
			return at(0, i+1, "", "a file is missing before the line")
		}
		return f, nil
	}
	if strings.HasSuffix(s, ".py") || strings.Contains(s, "/") {
		return at(0, len(s), s+":LINE or "+s+"::FUNCTION", "a file needs a line or a function")
	}
	if !isFunction(s) {
		return at(0, len(s), "FILE:LINE, FILE::FUNCTION or FUNCTION", "%q is not a place in Python code", s)
	}
	f.Func = s
	return f, nil
}

const maxLineNumber = 1 << 30

// isFunction reports whether s can be a code object's name: identifiers and
// <module>, <locals>, <lambda> and the like, joined by dots.
func isFunction(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if strings.HasPrefix(part, "<") && strings.HasSuffix(part, ">") {
			part = part[1 : len(part)-1]
		}
		if !isIdentifier(part, true) {
			return false
		}
	}
	return true
}

// match is how a stack stands to a pattern.
type match int8

const (
	matchNo match = iota
	matchOpen
	matchYes
)

// frame holds one Python frame against the pattern; qualified says whether
// the interpreter keeps qualified names (co_qualname, CPython 3.11).
func (p *FramePattern) frame(f *stack.Frame, qualified bool) match {
	if f.Kind != stack.Python || p.File != "" && !fileMatches(p.File, f.File) {
		return matchNo
	}
	if p.Line > 0 {
		if f.Line == 0 {
			return matchOpen // the line could not be read
		}
		if f.Line < p.Line-p.Slack || f.Line > p.Line+p.Slack {
			return matchNo
		}
	}
	if p.Func == "" || f.Func == p.Func || strings.HasSuffix(f.Func, "."+p.Func) {
		return matchYes
	}
	if f.Func == "" {
		return matchOpen
	}
	if !qualified && strings.HasSuffix(p.Func, "."+f.Func) {
		return matchOpen // a bare name: the class is not known
	}
	return matchNo
}

// fileMatches reports whether the pattern's path components are the last
// ones of the file.
func fileMatches(pattern, file string) bool {
	pattern = strings.TrimPrefix(pattern, "./")
	if pattern == file {
		return true
	}
	return !strings.HasPrefix(pattern, "/") && strings.HasSuffix(file, "/"+pattern)
}
