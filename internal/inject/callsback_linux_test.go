//go:build amd64

package inject

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// traceeMem reads the memory of a process.
type traceeMem struct{ p *tracee }

func (m traceeMem) ReadAt(b []byte, addr uint64) error {
	_, err := m.p.mem.ReadAt(b, int64(addr))
	return err
}

// cutShort has a process run to where it sleeps, and sends it a signal there.
func cutShort(p *tracee) {
	p.t.Helper()
	if err := unix.PtraceCont(p.pid, 0); err != nil {
		p.t.Fatal(err)
	}
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
		if err != nil {
			p.t.Fatal(err)
		}
		if bytes.Contains(stat, []byte(") S ")) {
			break
		}
	}
	if err := unix.Kill(p.pid, unix.SIGUSR1); err != nil {
		p.t.Fatal(err)
	}
	p.wait()
}

// A read that was sure not to wait, and does, since another process read what there was
// meanwhile, is made again with a stop once a signal cuts it short.
func TestCallsBackOut(t *testing.T) {
	p, img, orig := startWithCalls(t)
	const site, dst = callsTestSite, callsTestDst
	pc := p.regs().Rip
	p.write(site+uint64(len(orig)), []byte{0xcc})
	if got := p.syscall(pc, unix.SYS_PIPE, dst); got != 0 {
		t.Fatalf("pipe: %#x", got)
	}
	fds := p.word(dst)
	in, out := fds&0xffffffff, fds>>32
	p.write(dst, le(uint64(0))) // readings of the clock, from here on
	p.write(img.FDs+in, []byte{FDMaster})
	const buf = dst + 0x100
	begin := p.regs()
	read := func() {
		r := begin
		r.Rip, r.Rax, r.Rdi, r.Rsi, r.Rdx, r.OrigRax = site, unix.SYS_READ, in, buf, 8, ^uint64(0)
		p.setRegs(r)
	}
	send := func() {
		p.write(buf, []byte("x"))
		if got := p.syscall(pc, unix.SYS_WRITE, out, buf, 1); got != 1 {
			t.Fatalf("write: %#x", got)
		}
	}

	// What there is is read without a stop; else the call stops at once.
	send()
	p.write(img.Mode, le(uint32(callsOn)))
	read()
	if err := unix.PtraceCont(p.pid, 0); err != nil {
		t.Fatal(err)
	}
	p.wait()
	if r := p.regs(); r.Rax != 1 || p.word(img.Pos) == img.Buf {
		t.Fatalf("it read %d bytes, at %#x", int64(r.Rax), r.Rip)
	}

	// It is taken away between the two.
	p.write(img.Pos, le(img.Buf))
	send()
	read()
	called := img.Base + uint64(img.common.labels["called"])
	for p.regs().Rip != called-2 {
		if err := unix.PtraceSingleStep(p.pid); err != nil {
			t.Fatal(err)
		}
		p.wait()
	}
	at := p.regs()
	if got := p.syscall(pc, unix.SYS_READ, in, buf, 8); got != 1 {
		t.Fatalf("read: %#x", got)
	}
	p.setRegs(at)
	cutShort(p)
	r := p.regs()
	again, ok := img.BackOut(traceeMem{p}, r.Rip, r.Rax)
	if !ok {
		t.Fatalf("cut short at %#x with %d, it is not backed out of", r.Rip-img.Base, int64(r.Rax))
	}
	r.Rax, r.OrigRax = again, ^uint64(0)
	p.setRegs(r)
	cutShort(p)
	if r := p.regs(); r.Rip < img.Base+callCommon || r.Rip > img.Base+callCommon+trampSize || p.word(img.Pos) != img.Buf {
		t.Errorf("backed out of, it waits at %#x", r.Rip-img.Base)
	}
	if _, ok := img.BackOut(traceeMem{p}, p.regs().Rip, ^uint64(511)); ok {
		t.Error("a call that stops is backed out of")
	}
	p.setRegs(begin)
}
