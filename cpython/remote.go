package cpython

import (
	"encoding/binary"

	"pyrr/internal/mem"
)

// Remote says where another process leaves what a Python of 3.14 or later is to run
// (sys.remote_exec, pdb -p): in the state of the main thread.
type Remote struct {
	// Head is the address of the word that leads to the main interpreter.
	Head uint64
	// Main is where an interpreter holds the address of its main thread's state,
	// Support where that holds the script: four bytes that say that one waits
	// (debugger_pending_call), then its path.
	Main, Support uint64
}

// remoteSupport is struct _debugger_support in _Py_DebugOffsets, without a size; two words
// (llist_node) lie between it and the last group that is read otherwise.
const (
	remoteGap     = 2 * 8
	remoteSupport = 6 * 8
	remotePath    = 512 // MAX_SCRIPT_PATH_SIZE
)

// Remote reads it from a process that has the interpreter mapped at bias.
func (c *Clock) Remote(m mem.Reader, bias uint64) (at Remote, ok bool) {
	rules := c.Version.Rules()
	if c.Runtime == 0 || !rules.remoteScript || rules.debug == nil {
		return at, false
	}
	tail := debugSize(rules) + remoteGap
	b := make([]byte, tail+remoteSupport)
	if m.ReadAt(b, c.Runtime+bias) != nil {
		return at, false
	}
	v, _, err := parseDebugHeader(b)
	if err != nil || v.Minor != c.Version.Minor {
		return at, false
	}
	word := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	const interp = debugHeader + 3*8 // behind the size and two offsets of the runtime
	at = Remote{Head: c.Runtime + bias + word(debugHeader+2*8), Main: word(interp + 4*8), Support: word(tail + 8)}
	known := word(tail+3*8) == 0 && word(tail+4*8) == 4 && word(tail+5*8) == remotePath
	return at, known && at.Main < word(interp) && at.Support < 1<<20
}
