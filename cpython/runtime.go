package cpython

import (
	"errors"
	"fmt"
	"sync"

	"pyrr/internal/mem"
)

// Runtime reads the state of one CPython runtime out of the memory of a
// stopped process, without running any of its code. Its methods take the
// memory each time, so that one Runtime serves every moment of a replay and
// every forked child; they may be called from several goroutines.
type Runtime struct {
	// Version is CPython's, as far as it could be told: Micro is -1 when
	// only 3.N is known.
	Version Version
	// Addr is the address of _PyRuntime.
	Addr uint64
	// TID, when set, gives the kernel's thread id of a pthread_t. It is used
	// up to 3.10, which do not store it; without it, or when it returns
	// false, the id is taken from glibc's struct pthread.
	TID func(pthread uint64) (tid int, ok bool)

	l         *layout
	frameSize int // bytes of a frame that the walker looks at

	mu    sync.Mutex
	codes codeCache
	hints map[uint64][]uint64 // by PyThreadState: pages its last stack needed
	found map[string]int      // by name: entry of its dict where it last was
}

// FreeThreaded says that the interpreter was built with --disable-gil: several of
// its threads may be at an instruction, and mostly none holds a lock for that.
func (r *Runtime) FreeThreaded() bool { return r.l.freeThreaded }

// ErrUnsupported says that the interpreter is not one whose state can be
// read: not a version that Supported names, or not a release build.
var ErrUnsupported = errors.New("unsupported Python")

// OpenRuntimeAt returns the reader of the runtime whose _PyRuntime is at addr
// in m. From 3.13 on the version and the offsets come from the
// _Py_DebugOffsets there and v may be zero; before, they come from v.
func OpenRuntimeAt(v Version, addr uint64, m mem.Reader) (*Runtime, error) {
	var head [debugHeader]byte
	if err := m.ReadAt(head[:], addr); err != nil {
		return nil, fmt.Errorf("read _PyRuntime: %w", err)
	}
	found, freeThreaded, err := parseDebugHeader(head[:])
	if err == nil {
		v = found
	} else if v.Major == 0 {
		return nil, errNoVersion
	} else if v.Major == 3 && v.debugOffsets() {
		return nil, fmt.Errorf("_PyRuntime of %d.%d at %#x: %w", v.Major, v.Minor, addr, err)
	}
	if v.Major != 3 {
		return nil, fmt.Errorf("%w: version %d.%d", ErrUnsupported, v.Major, v.Minor)
	}
	l, err := tableLayout(v.Minor, freeThreaded)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if l.rules.debug != nil {
		b, err := mem.Bytes(m, addr, debugSize(l.rules))
		if err != nil {
			return nil, fmt.Errorf("read _Py_DebugOffsets: %w", err)
		}
		if err := applyDebugOffsets(l, b); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
	}
	f := &l.frame
	size := max(f.code, f.previous, f.ip, f.owner, f.isEntry, f.tlbcIndex, f.locals) + 8
	return &Runtime{Version: v, Addr: addr, l: l, frameSize: size}, nil
}

// maxHints bounds the thread states whose pages are remembered.
const maxHints = 256

// hint returns the pages that the last stack of a thread state needed: the
// next one mostly needs the same.
func (r *Runtime) hint(tstate uint64) []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hints[tstate]
}

func (r *Runtime) setHint(tstate uint64, pages []uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hints == nil || len(r.hints) >= maxHints {
		r.hints = make(map[uint64][]uint64)
	}
	r.hints[tstate] = pages
}

// Clone returns a reader of the same interpreter in another process, one that
// began as a copy or is another state of it: with caches of its own.
func (r *Runtime) Clone() *Runtime {
	return &Runtime{Version: r.Version, Addr: r.Addr, TID: r.TID, l: r.l, frameSize: r.frameSize}
}
