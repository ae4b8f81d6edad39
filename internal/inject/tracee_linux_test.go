//go:build amd64

package inject

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
)

// areaBase is far from what the kernel hands out.
const areaBase = 0x10_0000_0000

// A tracee is a single-threaded program run under ptrace with what this
// package builds placed into it.
type tracee struct {
	t   *testing.T
	pid int
	mem *os.File
	cmd *exec.Cmd
	out bytes.Buffer

	area   *Area
	real   mem.Range // the kernel's vDSO
	sites  map[uint64]Site
	cpu    *CPU            // what it is shown; nil for Host()
	patch  bool            // put traps into executable mappings
	done   map[string]bool // mappings patched
	inSys  bool
	status unix.WaitStatus

	// What was seen.
	calls  map[uint64]int // system calls by number
	clocks map[uint64]int // clock_gettime system calls by clock
	emul   map[Insn]int
	full   int
	replay bool
	// The clock buffer's contents at each event (system call or full
	// buffer); on replay, those still to be given.
	batches [][]byte

	onSyscall func(nr uint64, regs *linux.Regs) (detach bool)
}

// start runs argv up to its exec stop. The calling goroutine stays on its
// thread until the test ends.
func start(t *testing.T, argv ...string) *tracee {
	t.Helper()
	return startIn(t, "", argv...)
}

// startIn is start in a root file system; "" is this one.
func startIn(t *testing.T, root string, argv ...string) *tracee {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	pin(t)
	p := &tracee{t: t, sites: map[uint64]Site{}, done: map[string]bool{},
		calls: map[uint64]int{}, clocks: map[uint64]int{}, emul: map[Insn]int{}}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	if root != "" {
		p.cmd.Path, p.cmd.Err, p.cmd.Dir = argv[0], nil, "/"
	}
	p.cmd.Stdout = &p.out
	p.cmd.Stderr = &p.out
	p.cmd.SysProcAttr = &unix.SysProcAttr{Ptrace: true, Chroot: root}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = p.cmd.Process.Pid
	p.wait()
	if !p.status.Stopped() || p.status.StopSignal() != unix.SIGTRAP {
		t.Fatalf("no exec stop: %#x", p.status)
	}
	if err := unix.PtraceSetOptions(p.pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.mem, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", p.pid), os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.mem.Close() })
	return p
}

// pin keeps this thread, and what it starts, on one processor: a stop costs
// ten times as much across two.
func pin(t *testing.T) {
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for i := range len(all) * 64 {
		if all.IsSet(i) {
			one.Set(i)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.SchedSetaffinity(0, &all) })
}

func (p *tracee) wait() {
	p.t.Helper()
	for {
		if _, err := unix.Wait4(p.pid, &p.status, unix.WALL, nil); err == nil {
			return
		} else if err != unix.EINTR {
			p.t.Fatal(err)
		}
	}
}

func (p *tracee) regs() linux.Regs {
	p.t.Helper()
	var r linux.Regs
	if err := unix.PtraceGetRegs(p.pid, (*unix.PtraceRegs)(unsafe.Pointer(&r))); err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p *tracee) setRegs(r linux.Regs) {
	p.t.Helper()
	if err := unix.PtraceSetRegs(p.pid, (*unix.PtraceRegs)(unsafe.Pointer(&r))); err != nil {
		p.t.Fatal(err)
	}
}

func (p *tracee) read(addr uint64, n int) []byte {
	p.t.Helper()
	b := make([]byte, n)
	if _, err := p.mem.ReadAt(b, int64(addr)); err != nil {
		p.t.Fatalf("read %#x: %v", addr, err)
	}
	return b
}

func (p *tracee) write(addr uint64, b []byte) {
	p.t.Helper()
	if _, err := p.mem.WriteAt(b, int64(addr)); err != nil {
		p.t.Fatalf("write %#x: %v", addr, err)
	}
}

func (p *tracee) word(addr uint64) uint64 { return binary.LittleEndian.Uint64(p.read(addr, 8)) }

// syscall makes the stopped tracee execute a system call at pc, which holds
// code that is put back.
func (p *tracee) syscall(pc, nr uint64, args ...uint64) uint64 {
	p.t.Helper()
	saved, code := p.regs(), p.read(pc, 3)
	p.write(pc, []byte{0x0f, 0x05, 0xcc})
	r := saved
	r.Rip, r.Rax, r.OrigRax = pc, nr, ^uint64(0)
	for i, v := range args {
		*[]*uint64{&r.Rdi, &r.Rsi, &r.Rdx, &r.R10, &r.R8, &r.R9}[i] = v
	}
	p.setRegs(r)
	if err := unix.PtraceCont(p.pid, 0); err != nil {
		p.t.Fatal(err)
	}
	p.wait()
	got := p.regs()
	if got.Rip != pc+3 {
		p.t.Fatalf("injected call stopped at %#x, want %#x", got.Rip, pc+3)
	}
	p.write(pc, code)
	p.setRegs(saved)
	return got.Rax
}

// A mapping is one line of /proc/PID/maps.
type mapping struct {
	start, end, off uint64
	perms, path     string
}

func (p *tracee) maps() []mapping {
	p.t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", p.pid))
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	var out []mapping
	for sc := bufio.NewScanner(f); sc.Scan(); {
		fields := strings.Fields(sc.Text())
		var m mapping
		fmt.Sscanf(fields[0], "%x-%x", &m.start, &m.end)
		m.perms = fields[1]
		m.off, _ = strconv.ParseUint(fields[2], 16, 64)
		if len(fields) > 5 {
			m.path = fields[5]
		}
		out = append(out, m)
	}
	return out
}

// placeArea maps the area and points AT_SYSINFO_EHDR at its vDSO.
func (p *tracee) placeArea(replay bool) {
	p.t.Helper()
	for _, m := range p.maps() {
		if m.path == "[vdso]" {
			p.real = mem.Range{Addr: m.start, Len: m.end - m.start}
		}
	}
	if p.real.Len == 0 {
		p.t.Skip("this kernel gives no vDSO")
	}
	vdso := p.read(p.real.Addr, int(p.real.Len))
	if replay {
		vdso = nil
	}
	var err error
	if p.area, err = Build(areaBase, vdso, p.real.Addr); err != nil {
		p.t.Fatal(err)
	}
	p.replay = replay
	pc := p.regs().Rip
	for _, m := range p.area.Maps {
		const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_FIXED_NOREPLACE
		if got := p.syscall(pc, unix.SYS_MMAP, m.Addr, m.Len, uint64(m.Prot), flags, ^uint64(0), 0); got != m.Addr {
			p.t.Fatalf("mmap at %#x: %#x", m.Addr, got)
		}
	}
	for _, w := range p.area.Writes {
		p.write(w.Addr, w.Data)
	}
	if replay {
		p.fill()
	}

	// argc, argv, 0, envp, 0, auxv (System V ABI for x86-64, 3.4.1)
	const atSysinfoEhdr = 33
	sp := p.regs().Rsp
	sp += 8 * (p.word(sp) + 2)
	for p.word(sp) != 0 {
		sp += 8
	}
	for sp += 8; p.word(sp) != 0; sp += 16 {
		if p.word(sp) == atSysinfoEhdr {
			p.write(sp+8, le(p.area.VdsoBase))
			return
		}
	}
	p.t.Fatal("no AT_SYSINFO_EHDR")
}

// patchSites puts traps into executable file mappings not seen before.
func (p *tracee) patchSites() {
	p.t.Helper()
	for _, m := range p.maps() {
		key := fmt.Sprint(m)
		if m.perms[2] != 'x' || !strings.HasPrefix(m.path, "/") || p.done[key] {
			continue
		}
		p.done[key] = true
		sites, err := SitesCached(m.path)
		if err != nil {
			p.t.Fatal(err)
		}
		for _, s := range sites {
			if s.Off < m.off || s.Off-m.off >= m.end-m.start {
				continue
			}
			addr := m.start + s.Off - m.off
			if got := p.read(addr, s.Len); !bytes.Equal(got, s.Orig[:s.Len]) {
				p.t.Fatalf("%s: % x at %#x, want % x", m.path, got, addr, s.Orig[:s.Len])
			}
			p.write(addr, s.Trap())
			p.sites[addr] = s
		}
	}
}

// event empties the clock buffer; on replay it holds what was read since
// the last event against the recording and fills in what comes next.
func (p *tracee) event() {
	p.t.Helper()
	n := p.word(p.area.Time.Count)
	if p.replay {
		if len(p.batches) == 0 || int(n)*ReadingSize != len(p.batches[0]) {
			p.t.Fatalf("%d clock readings before an event; %d batches left", n, len(p.batches))
		}
		p.batches = p.batches[1:]
		p.fill()
	} else {
		p.batches = append(p.batches, p.read(p.area.Time.Buf, int(n)*ReadingSize))
	}
	p.write(p.area.Time.Count, le(uint64(0)))
}

func (p *tracee) fill() {
	if len(p.batches) > 0 && len(p.batches[0]) > 0 {
		p.write(p.area.Time.Buf, p.batches[0])
	}
}

// answers is the number of clock readings that passed the buffer.
func (p *tracee) answers() (n int) {
	for _, b := range p.batches {
		n += len(b) / ReadingSize
	}
	return n
}

// run lets the program go on to its end.
func (p *tracee) run() {
	p.t.Helper()
	if p.patch {
		p.patchSites()
	}
	sig := 0
	for {
		if err := unix.PtraceSyscall(p.pid, sig); err != nil {
			p.t.Fatal(err)
		}
		sig = 0
		p.wait()
		if p.status.Exited() || p.status.Signaled() {
			p.cmd.Wait()
			return
		}
		r := p.regs()
		switch s := p.status.StopSignal(); {
		case s == unix.SIGTRAP|0x80:
			if p.area != nil && p.area.InTimeFunc(r.Rsp) {
				continue // the kernel's vDSO needs a system call here
			}
			if p.inSys = !p.inSys; !p.inSys {
				if r.OrigRax == unix.SYS_MMAP && p.patch {
					p.patchSites()
				}
				continue
			}
			p.calls[r.OrigRax]++
			if r.OrigRax == unix.SYS_CLOCK_GETTIME {
				p.clocks[r.Rdi]++
			}
			if p.area != nil {
				p.event()
			}
			if p.onSyscall != nil && p.onSyscall(r.OrigRax, &r) {
				if err := unix.PtraceDetach(p.pid); err != nil {
					p.t.Fatal(err)
				}
				p.cmd.Wait()
				return
			}
		case s == unix.SIGTRAP && p.area != nil && r.Rip == p.area.Time.Full+1:
			p.full++
			p.event()
		case s == unix.SIGILL && p.sites[r.Rip].Len > 0:
			site := p.sites[r.Rip]
			p.emul[site.Insn]++
			cpu := p.cpu
			if cpu == nil {
				cpu = Host()
			}
			Emulate(site, cpu, p.area, &r)
			p.setRegs(r)
		default:
			sig = int(s)
		}
	}
}

// output is what the program wrote; it fails the test unless the program
// exited with 0.
func (p *tracee) output() string {
	p.t.Helper()
	if st := p.cmd.ProcessState; st == nil || !st.Success() {
		if !p.status.Exited() || p.status.ExitStatus() != 0 {
			p.t.Fatalf("program ended with %v (%#x):\n%s", st, p.status, &p.out)
		}
	}
	return p.out.String()
}
