package cpython

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// ErrNotPython is the error of a file that holds no CPython runtime.
var ErrNotPython = errors.New("no CPython runtime")

// A ClockError tells why the instructions of a CPython cannot be counted.
type ClockError struct {
	Path   string // "": the message does not name the file
	Reason string
	Hint   string // what the user can do, "" when there is nothing
}

func (e *ClockError) Error() string {
	s := e.Reason
	if e.Path != "" {
		s = fmt.Sprintf("%s: no instruction count: %s", e.Path, e.Reason)
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// A Clock says where an interpreter dispatches its instructions: all that is
// needed to count them in a process that has the file mapped. It is plain
// data, so that it can be kept in a cache or in a recording; UnmarshalClock
// reads it back. Addresses are link-time addresses.
type Clock struct {
	Version Version
	Path    string
	// Relocated says that the entries of the first table are filled in by the
	// dynamic linker: install only when Ready.
	Relocated bool
	// Tables are the tables of jump targets that instructions are dispatched
	// through: opcode_targets (the computed gotos, or the functions of the
	// tail-calling interpreter), and up to 3.10 the one that the compiler made
	// of the switch statement, which serves the first instruction of a frame
	// and every instruction while tracing. Each instruction goes through one
	// of them once.
	Tables []Table
	// NextInstr is where the address of the instruction is found when a
	// thread is at its dispatch.
	NextInstr NextInstr
	// Sites counts the jumps through the first table that were found in the
	// code.
	Sites int
	// Lo and Hi span the module's segments.
	Lo, Hi uint64
	// Runtime is the address of _PyRuntime, 0 where it is not exported.
	Runtime uint64 `json:",omitempty"`
	// JIT turns off what the interpreter has on by itself, and cannot be counted; nil where
	// it is off.
	JIT []JITAnswer `json:",omitempty"`
}

// A Table is one jump table.
type Table struct {
	Addr    uint64
	Entries int
	// First is the opcode of the first entry.
	First int
	// Rel32 says that the entries are 32-bit offsets from Base instead of
	// 64-bit addresses.
	Rel32 bool
	Base  uint64
	// Uncounted lists opcodes that are not instructions of the program, so
	// that their entries are left alone.
	Uncounted []int `json:",omitempty"`
	// Targets is the code that each entry leads to.
	Targets Addresses
}

// Addresses is a list of addresses. Its text form is the base64 of their
// little-endian bytes: a stored clock is read whenever a Python starts.
type Addresses []uint64

// MarshalText writes the text form.
func (a Addresses) MarshalText() ([]byte, error) {
	b := make([]byte, 0, 8*len(a))
	for _, v := range a {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads the text form.
func (a *Addresses) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return err
	}
	if len(b)%8 != 0 || len(b) > 8*opcodes {
		return fmt.Errorf("%d bytes of addresses", len(b))
	}
	*a = make(Addresses, len(b)/8)
	for i := range *a {
		(*a)[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return nil
}

// size is the length in bytes of an entry.
func (t *Table) size() int {
	if t.Rel32 {
		return 4
	}
	return 8
}

// LoadRange returns the span of addresses that the module is linked to. Its
// bias is where its lowest page is mapped, less lo.
func (c *Clock) LoadRange() (lo, hi uint64) { return c.Lo, c.Hi }

// NeedsNear says that the stubs must lie within 2 GiB of the module, because
// a table holds 32-bit offsets.
func (c *Clock) NeedsNear() bool {
	for i := range c.Tables {
		if c.Tables[i].Rel32 {
			return true
		}
	}
	return false
}

// Bounds of what a Clock may hold, for one that comes from a file.
const (
	opcodes   = 256 // entries of opcode_targets
	maxTables = 2
)

// check holds a Clock to its rules, so that one from a cache or a recording
// can be used like one that was just found.
func (c *Clock) check() error {
	if n := len(c.Tables); n < 1 || n > maxTables {
		return fmt.Errorf("%d dispatch tables", n)
	}
	if c.Lo >= c.Hi || c.Hi-c.Lo > 1<<40 {
		return fmt.Errorf("module spans %#x to %#x", c.Lo, c.Hi)
	}
	if v := c.Version; v.Major != 3 || v.Minor < minMinor || v.Minor > maxMinor() {
		return fmt.Errorf("version %v", v)
	}
	if err := c.NextInstr.check(c.Version); err != nil {
		return err
	}
	for _, a := range c.JIT {
		if len(a.Code) > maxAnswerSize || !c.holds(a.Addr, len(a.Code)) {
			return fmt.Errorf("%d bytes of code at %#x", len(a.Code), a.Addr)
		}
	}
	for i := range c.Tables {
		t := &c.Tables[i]
		if t.Entries < 1 || t.Entries > opcodes || t.First < 0 || t.First+t.Entries > opcodes || len(t.Targets) != t.Entries {
			return fmt.Errorf("table %d has %d entries from %d with %d targets", i, t.Entries, t.First, len(t.Targets))
		}
		if i == 0 && (t.First != 0 || t.Entries != opcodes) {
			return fmt.Errorf("table 0 has %d entries from %d", t.Entries, t.First)
		}
		if !c.holds(t.Addr, t.Entries*t.size()) || t.Rel32 && !c.holds(t.Base, 1) {
			return fmt.Errorf("table %d at %#x is outside the module", i, t.Addr)
		}
		for _, op := range t.Uncounted {
			if op < t.First || op >= t.First+t.Entries {
				return fmt.Errorf("table %d has no opcode %d to leave alone", i, op)
			}
		}
		for _, to := range t.Targets {
			if !c.holds(to, 1) {
				return fmt.Errorf("table %d leads to %#x, outside the module", i, to)
			}
		}
	}
	return nil
}

// holds says whether n bytes at a link-time address are inside the module.
func (c *Clock) holds(addr uint64, n int) bool {
	return addr >= c.Lo && addr < c.Hi && uint64(n) <= c.Hi-addr
}

// FindClock analyses the ELF file at path, an interpreter or a libpython. Its
// error is ErrNotPython when the file holds no CPython runtime, and a
// *ClockError when it does but its dispatch table is not found, or not
// recognised beyond doubt.
func FindClock(path string) (*Clock, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return findClockIn(f, path)
}

func findClockIn(f *os.File, path string) (*Clock, error) {
	im, err := readELF(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrNotPython, err)
	}
	c, err := im.findClock(path)
	if err != nil {
		return nil, err
	}
	if c.Version.Rules().executor != 0 {
		c.JIT = im.jitAnswers()
	}
	if err := c.check(); err != nil {
		return nil, &ClockError{Path: path, Reason: err.Error()}
	}
	return c, nil
}
