// Package gdbtest holds stacks against those that gdb prints. It is for tests.
package gdbtest

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/unwind"
)

// Stop is what gdb saw at a stop.
type Stop struct {
	PID    int
	Regs   map[string]uint64
	Frames []Frame
}

type Frame struct {
	Kind, Name, File, Text string
	PC                     uint64
	Line                   int
	// MixedUp are the arguments for which gdb shows a variable of an inner block
	// that has the same name and no address.
	MixedUp []string
}

var dwarfNames = strings.Fields("rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip")

// dir is the folder of this file: below the module's, in which the test runs. What is
// compiled with -trimpath does not know it.
func dir() string {
	top, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		dir := filepath.Join(top, "internal", "unwind", "gdbtest")
		if _, err := os.Stat(filepath.Join(dir, "work.py")); err == nil {
			return dir
		}
		up := filepath.Dir(top)
		if up == top {
			panic("the folder of the module is not above that of the test")
		}
		top = up
	}
}

// Program returns the path of a Python program that works in C: in the modules
// of the standard library, sqlite, OpenSSL and libc. Its arguments are for how
// many seconds, and after how many it is to be interrupted, again and again.
func Program() string { return filepath.Join(dir(), "work.py") }

// EachStop runs a program under gdb and calls f at each of the first n stops.
func EachStop(t *testing.T, n int, argv []string, f func(*Stop)) {
	t.Helper()
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("no gdb: apt-get install gdb")
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ackR, ackW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gdb, append([]string{"-nx", "-batch", "-iex", "set auto-load off", "-x", filepath.Join(dir(), "stops.py"), "--args"}, argv...)...)
	cmd.ExtraFiles = []*os.File{outW, ackR}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBUGINFOD_URLS=", "PYTHONDONTWRITEBYTECODE=1")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	outW.Close()
	ackR.Close()
	lines := bufio.NewScanner(outR)
	lines.Buffer(nil, 64<<20)
	seen := 0
	for seen < n && lines.Scan() {
		var s Stop
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		f(&s)
		seen++
		fmt.Fprintln(ackW, "on")
	}
	ackW.Close()
	outR.Close()
	cmd.Wait()
	if seen == 0 {
		t.Skipf("gdb could not run the program: %s", said.String())
	}
	if seen < n {
		t.Errorf("the program ended after %d stops, before %d:\n%s", seen, n, said.String())
	}
}

// Comparison counts what was held against gdb.
type Comparison struct {
	// Present leaves out what is inferred of the past, tail calls and the
	// values of arguments at the call: gdb does not look for them where it reads
	// a core file.
	Present bool
	// Allow is how many stops may differ: they are arbitrary, and gdb has
	// rules of its own for rare ones, such as the names of entries of a PLT.
	Allow int

	stops, frames, sources, args, differ int
	modules                              map[string]int
	exports                              map[string][]string // by file
}

// Report logs the counts, and fails a test that compared hardly anything.
func (c *Comparison) Report(t *testing.T) {
	t.Logf("%d stops, %d frames, %d of them with source lines, %d arguments; %d stops differ; innermost in %v",
		c.stops, c.frames, c.sources, c.args, c.differ, c.modules)
	if c.frames < 5*c.stops {
		t.Errorf("only %d frames at %d stops", c.frames, c.stops)
	}
}

// Live compares at a stop of a live process.
func (c *Comparison) Live(t *testing.T, images *unwind.Files, g *Stop) {
	t.Helper()
	var regs [17]uint64
	for i, name := range dwarfNames {
		regs[i] = g.Regs[name]
	}
	m := mem.Live{PID: g.PID}
	s, err := unwind.LiveModules(g.PID, m, images)
	if err != nil {
		t.Fatal(err)
	}
	c.Compare(t, s, g.Frames, s.Explain(m, s.Walk(m, unwind.AllRegs(regs), 0)))
}

// Compare holds a stack against gdb's.
func (c *Comparison) Compare(t *testing.T, s *unwind.Modules, want []Frame, got []unwind.Described) {
	t.Helper()
	c.stops++
	if c.Present {
		want = slices.DeleteFunc(slices.Clone(want), func(f Frame) bool { return f.Kind == "tail" })
		got = slices.DeleteFunc(slices.Clone(got), func(d unwind.Described) bool { return d.Tail })
		for i := range got {
			got[i].Args = present(got[i].Args)
		}
	}
	if c.modules == nil {
		c.modules = map[string]int{}
	}
	c.modules[path.Base(got[0].Module)]++
	if d := c.diff(s, want, got); d != "" {
		c.differ++
		say := t.Errorf
		if c.differ <= c.Allow {
			say = t.Logf
		}
		say("stop %d: %s\npyrr:\n%sgdb:\n%s", c.stops, d, describedText(got), gdbText(want))
	}
}

// present leaves out what arguments were at the call.
func present(args []unwind.Arg) []unwind.Arg {
	var out []unwind.Arg
	for _, a := range args {
		if name, _, _ := strings.Cut(a.Name, "="); !strings.HasSuffix(name, "@entry") {
			out = append(out, unwind.Arg{Name: name, Value: a.Value, Passed: a.Passed})
		}
	}
	return out
}

// diff returns the first difference, "" for none.
func (c *Comparison) diff(s *unwind.Modules, want []Frame, got []unwind.Described) string {
	for i := range min(len(want), len(got)) {
		w, g := &want[i], &got[i]
		c.frames++
		if w.PC != g.PC {
			return fmt.Sprintf("frame %d: pc %#x, gdb has %#x", i, g.PC, w.PC)
		}
		if (w.Kind == "signal") != g.Signal {
			return fmt.Sprintf("frame %d: a signal's %v, gdb has a frame that is %s", i, g.Signal, w.Kind)
		}
		if g.Signal {
			continue
		}
		if name := unwind.PlainName(w.Name); name != g.Func {
			mod := s.Find(g.PC)
			_, start, ok := mod.Symbol(g.PC - mod.Bias)
			if !ok || !mod.HasName(start, w.Name) { // another name of the same
				return fmt.Sprintf("frame %d: function %q, gdb has %q", i, g.Func, name)
			}
		}
		if (w.Kind == "inline") != g.Inlined || (w.Kind == "tail") != g.Tail {
			return fmt.Sprintf("frame %d: inlined %v, tail call %v, gdb has a frame that is %s", i, g.Inlined, g.Tail, w.Kind)
		}
		if w.Line == 0 {
			continue
		}
		c.sources++
		if !sameFile(g.File, w.File) || g.Line != w.Line {
			return fmt.Sprintf("frame %d: %s at %s:%d, gdb has %s:%d", i, g.Func, g.File, g.Line, w.File, w.Line)
		}
		text, ok := gdbArgs(w)
		if !ok {
			return fmt.Sprintf("frame %d: can't read gdb's %q", i, w.Text)
		}
		c.args += len(g.Args)
		var have string
		agree := func(unsure []string) bool {
			have, text = comparable(w, unsure, unwind.ArgText(g.Args)), comparable(w, unsure, text)
			return have == text || agrees(have, text)
		}
		if !agree(append(passed(w, g.Args), w.MixedUp...)) && !(c.ambiguous(s, w.Name) && agree(optimizedOut(text))) {
			return fmt.Sprintf("frame %d: %s (%s)\n         gdb has (%s)", i, g.Func, have, text)
		}
	}
	// Where there is no call frame information, as in the first instructions of
	// the dynamic linker, gdb guesses, and takes what is on the stack for code.
	guessed := strings.Contains(got[len(got)-1].Err, "no call frame information") && len(want) > len(got)
	if len(want) != len(got) && !guessed {
		return fmt.Sprintf("%d frames, gdb has %d", len(got), len(want))
	}
	return ""
}

// agrees says whether arguments are equal except for those that are in vector
// registers, which walks do not read.
func agrees(have, text string) bool {
	const unread = "<unavailable>"
	if !strings.Contains(have, unread) {
		return false
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(have), regexp.QuoteMeta(unread), `[^,=]+`)
	return regexp.MustCompile("^" + pattern + "$").MatchString(text)
}

// sameFile compares a path that may be relative to the compiler's folder.
func sameFile(got, full string) bool {
	if filepath.IsAbs(got) {
		return path.Clean(full) == got
	}
	for strings.HasPrefix(got, "../") {
		got = got[3:]
	}
	full = path.Clean(full)
	return full == got || strings.HasSuffix(full, "/"+got)
}

var gdbLine = regexp.MustCompile(`^#\d+ +(?:0x[0-9a-f]+ in )?(.*)$`)

// gdbArgs takes the arguments out of a line of bt.
func gdbArgs(f *Frame) (string, bool) {
	m := gdbLine.FindStringSubmatch(f.Text)
	if m == nil {
		return "", false
	}
	rest, ok := strings.CutPrefix(m[1], f.Name+" (")
	if !ok {
		return "", false
	}
	i := strings.LastIndex(rest, ") at ")
	if i < 0 {
		i = strings.LastIndex(rest, ")")
	}
	if i < 0 {
		return "", false
	}
	return rest[:i], true
}

func describedText(ds []unwind.Described) string {
	var b strings.Builder
	for i, d := range ds {
		fmt.Fprintf(&b, "  #%d %#x %s (%s) at %s:%d %v %v %s\n", i, d.PC, d.Func, unwind.ArgText(d.Args), d.File, d.Line, d.Inlined, d.Tail, d.Err)
	}
	return b.String()
}

func gdbText(fs []Frame) string {
	var b strings.Builder
	for _, f := range fs {
		fmt.Fprintf(&b, "  %s  [%s]\n", f.Text, f.Kind)
	}
	return b.String()
}

// Core returns the stack that gdb reads out of a core file.
func Core(t *testing.T, exe, core string) []Frame {
	t.Helper()
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("no gdb: apt-get install gdb")
	}
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gdb, "-nx", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off", exe, core,
		"-x", filepath.Join(dir(), "stops.py"))
	cmd.ExtraFiles = []*os.File{w}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBUGINFOD_URLS=", "PYTHONDONTWRITEBYTECODE=1", "CORE=1")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var s Stop
	err = json.NewDecoder(out).Decode(&s)
	out.Close()
	cmd.Wait()
	if err != nil {
		t.Fatalf("gdb reads no stack: %v\n%s", err, said.String())
	}
	return s.Frames
}

// WriteCore writes a core file (elf(5)) with the registers of one thread and
// parts of the memory: what gdb does not find in the files that were mapped.
func WriteCore(path string, regs *linux.Regs, m mem.Reader, parts []mem.Range) error {
	const (
		regsAt   = 112 // of pr_reg in struct elf_prstatus (linux/elfcore.h)
		prstatus = 336
	)
	status := make([]byte, prstatus)
	binary.LittleEndian.PutUint32(status[32:], 1) // pr_pid
	if n, err := binary.Encode(status[regsAt:], binary.LittleEndian, regs); err != nil || n != 27*8 {
		return fmt.Errorf("%d bytes of registers: %w", n, err)
	}
	note := binary.LittleEndian.AppendUint32(nil, 5)
	note = binary.LittleEndian.AppendUint32(note, prstatus)
	note = binary.LittleEndian.AppendUint32(note, 1) // NT_PRSTATUS
	note = append(append(note, "CORE\x00\x00\x00\x00"...), status...)
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var head bytes.Buffer
	phnum := len(parts) + 1
	at := uint64(64 + 56*phnum)
	h := elf.Header64{Type: uint16(elf.ET_CORE), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: uint16(phnum)}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	progs := []elf.Prog64{{Type: uint32(elf.PT_NOTE), Off: at, Filesz: uint64(len(note)), Align: 4}}
	at = (at + uint64(len(note)) + 4095) &^ 4095
	for _, p := range parts {
		progs = append(progs, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_W), Off: at, Vaddr: p.Addr, Filesz: p.Len, Memsz: p.Len, Align: 4096})
		if err := writeMemory(f, at, m, p); err != nil {
			return err
		}
		at += p.Len
	}
	if err := errors.Join(binary.Write(&head, binary.LittleEndian, h), binary.Write(&head, binary.LittleEndian, progs)); err != nil {
		return err
	}
	_, err = f.WriteAt(append(head.Bytes(), note...), 0)
	return errors.Join(err, f.Truncate(int64(at)))
}

// writeMemory copies memory into a file; pages that can't be read, and those
// of zeros, stay holes.
func writeMemory(f *os.File, at uint64, m mem.Reader, p mem.Range) error {
	const block = 1 << 16
	b := make([]byte, block)
	zeros := make([]byte, block)
	for off := uint64(0); off < p.Len; off += block {
		part := b[:min(block, p.Len-off)]
		if m.ReadAt(part, p.Addr+off) != nil || bytes.Equal(part, zeros[:len(part)]) {
			continue
		}
		if _, err := f.WriteAt(part, int64(at+off)); err != nil {
			return err
		}
	}
	return nil
}
