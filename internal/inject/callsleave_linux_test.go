//go:build amd64

package inject

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// A thread may be anywhere in the calls area when the recording ends and the mode
// cell is cleared under it: the call that it is making is made all the same, and what
// an earlier record says is not taken for what it did.
func TestCallsLetGoAnywhere(t *testing.T) {
	p, img, orig := startWithCalls(t)
	const site, dst = callsTestSite, callsTestDst
	pc := p.regs().Rip
	p.write(site+uint64(len(orig)), []byte{0xcc})
	if got := p.syscall(pc, unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0, dst); got != 0 {
		t.Fatalf("socketpair: %#x", got)
	}
	fds := p.word(dst)
	in, out := fds&0xffffffff, fds>>32
	p.write(dst, le(uint64(0))) // readings of the clock, from here on
	p.write(img.FDs+in, []byte{FDStream})

	const buf, old, sent = dst + 0x100, "an older one", "hello"
	stale := make([]byte, callHead+len(old))
	for off, v := range map[int]uint64{recRet: 9, recOut: buf, recOutLen: 9, recNext: img.Buf + 0x1000} {
		copy(stale[off:], le(v))
	}
	copy(stale[callHead:], old)
	begin := p.regs()
	for steps, done := 0, false; !done; steps++ {
		p.write(img.Buf, stale)
		p.write(img.Pos, le(img.Buf))
		p.write(img.Mode, le(uint32(callsOn)))
		p.write(buf, []byte(sent))
		if got := p.syscall(pc, unix.SYS_WRITE, out, buf, uint64(len(sent))); got != uint64(len(sent)) {
			t.Fatalf("write: %#x", got)
		}
		p.write(buf, make([]byte, 16))
		r := begin
		r.Rip, r.Rax, r.Rdi, r.Rsi, r.Rdx, r.R10, r.R8, r.R9, r.OrigRax = site, unix.SYS_RECVFROM, in, buf, 64, 0, 0, 0, ^uint64(0)
		p.setRegs(r)
		for range steps {
			if err := unix.PtraceSingleStep(p.pid); err != nil {
				t.Fatal(err)
			}
			p.wait()
			if done = p.regs().Rip == site+uint64(len(orig)); done {
				break
			}
		}
		p.write(img.Mode, le(uint32(callsOff)))
		if err := unix.PtraceCont(p.pid, 0); err != nil {
			t.Fatal(err)
		}
		p.wait()
		r = p.regs()
		if got := p.read(buf, 16); r.Rip != site+uint64(len(orig))+1 || r.Rax != uint64(len(sent)) || !bytes.Equal(bytes.TrimRight(got, "\x00"), []byte(sent)) {
			t.Fatalf("let go after %d instructions: it is at %#x with %d and %q", steps, r.Rip-site, int64(r.Rax), got)
		}
		if steps > 1000 {
			t.Fatal("it never returns")
		}
	}
	p.setRegs(begin)
}
