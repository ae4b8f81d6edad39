package capture

import (
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// movedVDSO is where the kernel's own vDSO was, and its bytes.
type movedVDSO struct {
	old   span
	bytes []byte
}

// moveVDSO moves the kernel's vDSO, with the pages of data that lie before it, so
// that what the program knows of it leads to a stand-in. The kernel lets it be
// moved (vdso_mremap, arch/x86/entry/vdso/vma.c).
func (r *recorder) moveVDSO(t *task, gate uint64, maps []linux.Mapping) (*movedVDSO, error) {
	var parts []linux.Mapping
	v := &movedVDSO{}
	for _, m := range maps {
		if m.Path == "[vdso]" {
			v.old = span{m.Start, m.End}
			v.bytes = make([]byte, m.End-m.Start)
			if err := (ptrace.Mem)(t.tid).ReadAt(v.bytes, m.Start); err != nil {
				return nil, fmt.Errorf("read the vDSO: %w", err)
			}
			parts = append(parts, m)
		} else if strings.HasPrefix(m.Path, "[vvar") {
			parts = append(parts, m)
		}
	}
	if v.bytes == nil {
		return nil, nil
	}
	// What it has read of the clock is not in the image.
	if err := r.stepOut(t.proc, func(pc uint64) bool { return pc >= v.old.start && pc < v.old.end }); err != nil {
		return nil, err
	}
	if v.old.start >= vdsoBase && v.old.start < vdsoBase+1<<20 {
		return nil, nil // it was moved when pyrr attached before
	}
	to := uint64(vdsoBase)
	first := parts[0].Start
	orig := make([]byte, len(ptrace.Gadget))
	if err := (ptrace.Mem)(t.tid).ReadAt(orig, gate); err != nil {
		return nil, err
	}
	if err := ptrace.Write(t.tid, gate, ptrace.Gadget); err != nil {
		return nil, err
	}
	var failed error
	call := func(what string, nr, want uint64, args ...uint64) {
		if failed != nil {
			return
		}
		args = append(args, 0, 0, 0, 0, 0, 0)
		ret, err := r.inject(t, gate, nr, args[0], args[1], args[2], args[3], args[4], args[5])
		if err == nil && uint64(ret) != want {
			err = errnoOf(ret)
		}
		if err != nil {
			failed = fmt.Errorf("%s: %w", what, err)
		}
	}
	for _, m := range parts {
		at := to + m.Start - first
		call("move the vDSO", sys.SYS_MREMAP, at, m.Start, m.End-m.Start, m.End-m.Start, unix.MREMAP_MAYMOVE|unix.MREMAP_FIXED, at)
	}
	size := v.old.end - v.old.start
	call("stand in for the vDSO", sys.SYS_MMAP, v.old.start, v.old.start, size, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uint64(0))
	if err := ptrace.Write(t.tid, gate, orig); failed == nil {
		failed = err
	}
	return v, failed
}

// vdsoBase is where the kernel's vDSO is moved to.
const vdsoBase = scratchBase + scratchSize + 1<<20

// divertVDSO makes the functions at the vDSO's former place lead to the engine's
// clock, or be system calls, which all of them stand for.
func (r *recorder) divertVDSO(t *task, v *movedVDSO) error {
	b := slices.Clone(v.bytes)
	f, err := elf.NewFile(strings.NewReader(string(b)))
	if err != nil {
		return fmt.Errorf("read the vDSO: %w", err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("read the vDSO's symbols: %w", err)
	}
	calls := map[string]uint32{
		"gettimeofday": sys.SYS_GETTIMEOFDAY, "time": sys.SYS_TIME, "getcpu": sys.SYS_GETCPU,
		"clock_getres": sys.SYS_CLOCK_GETRES, "getrandom": sys.SYS_GETRANDOM,
	}
	for _, s := range syms {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Value >= uint64(len(b)) {
			continue
		}
		name := strings.TrimPrefix(s.Name, "__vdso_")
		var code []byte
		if nr, ok := calls[name]; ok {
			code = callCode(nr)
		} else if name == "clock_gettime" {
			code = jumpCode(t.proc.area.Time.Stub)
		} else {
			continue // none that libraries call
		}
		copy(b[s.Value:], code)
	}
	return ptrace.Write(t.tid, v.old.start, b)
}
