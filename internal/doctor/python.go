package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/screen"
)

// Interpreter is what doctor found of one Python.
type Interpreter struct {
	Name           string `json:"name"` // as asked for
	Executable     string `json:"executable,omitempty"`
	Implementation string `json:"implementation,omitempty"`
	Version        string `json:"version,omitempty"`
	// Binary holds the interpreter: the executable or its libpython.
	Binary string `json:"binary,omitempty"`
	OK     bool   `json:"ok"` // its instructions can be counted
	// Table says where the dispatch table was found.
	Table  string `json:"table,omitempty"`
	Reason string `json:"reason,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// selfPortrait makes an interpreter say what it is. sys.executable can be a
// shell script's (pyenv) or a link (venv); /proc/self/exe is the binary.
const selfPortrait = `
import json, os, sys
maps = open("/proc/self/maps").read().splitlines()
libs = sorted({l.split(None, 5)[5] for l in maps if "/libpython" in l})
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": ".".join(map(str, sys.version_info[:3])),
    "level": sys.version_info[3],
    "exe": os.readlink("/proc/self/exe"),
    "libs": libs,
    "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
}))
`

// portrait is what selfPortrait prints.
type portrait struct {
	Implementation string   `json:"implementation"`
	Version        string   `json:"version"`
	Level          string   `json:"level"`
	Exe            string   `json:"exe"`
	Libs           []string `json:"libs"`
	GIL            bool     `json:"gil"`
}

// portraitLimit is how long an interpreter may take to say what it is.
const portraitLimit = 20 * time.Second

// Inspect looks at each interpreter once; asked is false for the
// default names, of which those that are not installed are left out.
func Inspect(ctx context.Context, u *screen.UI, names []string, asked bool) []Interpreter {
	out := []Interpreter{}
	seen := map[string]bool{}
	for _, name := range names {
		u.Status("looking at %s", name)
		i := inspectPython(ctx, name)
		if !asked && (i.Executable == "" && errors.Is(i.err, exec.ErrNotFound) || i.Executable != "" && seen[i.Executable]) {
			continue
		}
		seen[i.Executable] = true
		out = append(out, i.Interpreter)
	}
	return out
}

// inspected is an interpreter and, if it could not be run, the error.
type inspected struct {
	Interpreter
	err error
}

func inspectPython(ctx context.Context, name string) inspected {
	i := inspected{Interpreter: Interpreter{Name: name}}
	path, err := exec.LookPath(name)
	if err != nil {
		i.err = err
		i.Reason = "there is no program " + name
		if st, serr := os.Stat(name); serr == nil && !st.IsDir() {
			i.Reason = name + " is not a program: " + strings.TrimPrefix(err.Error(), "exec: ")
			i.Remedy = "pyrr doctor python3"
		} else if serr == nil {
			i.Reason = name + " is a folder"
			if py := filepath.Join(name, "bin", "python3"); isFile(py) {
				i.Remedy = "pyrr doctor " + printable.ShellQuote(py)
			}
		}
		return i
	}
	p, err := AskPython(ctx, path)
	if err != nil {
		i.err = err
		i.Reason = fmt.Sprintf("it does not run: %v", err)
		return i
	}
	i.Executable, i.Implementation = p.Exe, implementationName(p.Implementation)
	i.Version = p.Version
	if p.Level != "final" && p.Level != "" {
		i.Version += " " + p.Level
	}
	i.Binary = p.Exe
	if len(p.Libs) > 0 {
		i.Binary = p.Libs[0]
	}
	if p.Implementation != "cpython" {
		i.Reason = NotCPython(i.Implementation)
		return i
	}
	i.Table, err = ClockTable(i.Binary)
	if err != nil {
		i.Reason = err.Error()
		i.Remedy = strings.Join(hint.Of(err), "; ")
		return i
	}
	i.OK = true
	if !p.GIL {
		i.Reason = "without the GIL: pyrr runs one thread at a time"
	}
	return i
}

// NotCPython says what becomes of another implementation of Python: doctor and
// record have the same line.
func NotCPython(name string) string {
	return name + " is recorded like a program that is not Python: with --follow all, system calls only, no Python stacks"
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func implementationName(s string) string {
	switch s {
	case "cpython":
		return "CPython"
	case "pypy":
		return "PyPy"
	}
	return s
}

func AskPython(ctx context.Context, path string) (portrait, error) {
	ctx, cancel := context.WithTimeout(ctx, portraitLimit)
	defer cancel()
	var out, errs bytes.Buffer
	// -I and -S: neither the folder that pyrr runs in nor site-packages.
	cmd := exec.CommandContext(ctx, path, "-I", "-S", "-c", selfPortrait)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return portrait{}, fmt.Errorf("no answer after %v", portraitLimit)
		}
		if line := lastLine(errs.String()); line != "" {
			return portrait{}, fmt.Errorf("%w: %s", err, line)
		}
		return portrait{}, err
	}
	var p portrait
	if err := json.Unmarshal(out.Bytes(), &p); err != nil || p.Exe == "" {
		return portrait{}, errors.New("it does not answer like a Python 3")
	}
	return p, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
