//go:build amd64

package inject

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// Where tests put an instruction that calls, and what it may write to.
const callsTestSite, callsTestDst = areaBase - 0x1000, areaBase - 0x800

// startWithCalls starts a process with a calls area in it and one place that enters it,
// whose own instructions orig are.
func startWithCalls(t *testing.T) (p *tracee, img *CallsArea, orig []byte) {
	t.Helper()
	const site, dst = callsTestSite, callsTestDst
	p = start(t, "/bin/true")
	pc := p.regs().Rip
	orig = []byte{0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff} // syscall; cmp rax, -4095
	img, err := BuildCalls(areaBase, 0, []CallSite{{Vaddr: site, Len: len(orig), Orig: orig}})
	if err != nil {
		t.Fatal(err)
	}
	const rwx = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC
	if got := p.syscall(pc, unix.SYS_MMAP, site, img.Size+0x1000, rwx, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED_NOREPLACE, ^uint64(0), 0); got != site {
		t.Fatalf("mmap: %#x", got)
	}
	for _, w := range slices.Concat(img.Writes, img.Cells(dst, nil), img.Permit(Permits{})) {
		p.write(w.Addr, w.Data)
	}
	return p, img, orig
}

// A thread may be anywhere in the calls area when its budget is set again: the count
// that its record has stays what it was.
func TestCallsCountAnywhere(t *testing.T) {
	p, img, orig := startWithCalls(t)
	const site, dst = callsTestSite, callsTestDst
	p.write(dst, le(uint64(0)))
	const cell, count = dst + 8, 123_456_789
	p.write(img.Budget, le(uint64(cell)))
	begin, end := p.regs(), site+uint64(len(orig))
	mended := 0
	for steps, done := 0, false; !done; steps++ {
		p.write(img.Pos, le(img.Buf))
		p.write(img.Mode, le(uint32(callsOn)))
		p.write(cell, le(uint64(20_949)))
		p.write(img.Total, le(uint64(count+20_949)))
		r := begin
		r.Rip, r.Rax, r.OrigRax = site, unix.SYS_GETPID, ^uint64(0)
		p.setRegs(r)
		for range steps {
			if err := unix.PtraceSingleStep(p.pid); err != nil {
				t.Fatal(err)
			}
			p.wait()
			if done = p.regs().Rip == end; done {
				break
			}
		}
		left := []uint64{0, 7, 200_000}[steps%3]
		p.write(cell, le(left))
		p.write(img.Total, le(count+left))
		r = p.regs()
		if rcx, ok := img.Recount(r.Rip, left); ok {
			r.Rcx = rcx
			p.setRegs(r)
			mended++
		}
		for p.regs().Rip != end {
			if err := unix.PtraceSingleStep(p.pid); err != nil {
				t.Fatal(err)
			}
			p.wait()
		}
		if p.word(img.Pos) == img.Buf {
			t.Fatalf("after %d instructions: nothing was recorded", steps)
		}
		if got := p.word(img.Buf + recInstr); got != count {
			t.Errorf("after %d instructions, at %#x: the count is %d, want %d", steps, r.Rip-areaBase, got, count)
		}
		if steps > 1000 {
			t.Fatal("it never returns")
		}
	}
	if mended != 2 {
		t.Errorf("%d places were mended", mended)
	}
	p.setRegs(begin)
}
