package linux

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/mem"
)

// TestMemoryDiff runs a real interpreter and compares all of its writable memory
// before and after system calls. What changed while the kernel had the only
// thread must be in the outputs. It is slow for each call, so only the first
// few of a kind are compared.
func TestMemoryDiff(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all memory of a process at many system calls")
	}
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip("no interpreter: ", err)
	}
	script, err := filepath.Abs(filepath.Join("testdata", "calls.py"))
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(python, script)
	// The kernel writes the CPU's number into a registered rseq area at any time.
	cmd.Env = append(os.Environ(), "GLIBC_TUNABLES=glibc.pthread.rseq=0", "PYTHONDONTWRITEBYTECODE=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		t.Skip("can't trace: ", err)
	}
	d := &differ{t: t, pid: cmd.Process.Pid, seen: map[string]int{}}
	status, err := d.run()
	cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if status.ExitStatus() != 0 {
		t.Fatalf("the program ended with %v:\n%s", status, out.String())
	}
	kinds := map[int]bool{}
	for _, nr := range d.checked {
		kinds[nr] = true
	}
	t.Logf("%d system calls of %d kinds compared", len(d.checked), len(kinds))
	if len(kinds) < 100 {
		t.Errorf("only %d kinds of system calls were compared", len(kinds))
	}
}

type differ struct {
	t       *testing.T
	pid     int
	seen    map[string]int
	checked []int
}

// run traces the program from call to call until it ends.
func (d *differ) run() (syscall.WaitStatus, error) {
	var st syscall.WaitStatus
	if _, err := syscall.Wait4(d.pid, &st, syscall.WALL, nil); err != nil {
		return st, err
	}
	if err := syscall.PtraceSetOptions(d.pid, syscall.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL); err != nil {
		return st, err
	}
	var before []block
	var args [6]uint64
	nr, inside, sig := -1, false, 0
	for {
		if err := syscall.PtraceSyscall(d.pid, sig); err != nil {
			return st, fmt.Errorf("resume: %w", err)
		}
		if _, err := syscall.Wait4(d.pid, &st, syscall.WALL, nil); err != nil {
			return st, err
		}
		if st.Exited() || st.Signaled() {
			return st, nil
		}
		sig = 0
		if st.StopSignal() != syscall.SIGTRAP|0x80 {
			if st.StopSignal() != syscall.SIGTRAP { // that of execve
				sig = int(st.StopSignal())
			}
			continue
		}
		var regs syscall.PtraceRegs
		if err := syscall.PtraceGetRegs(d.pid, &regs); err != nil {
			return st, err
		}
		inside = !inside
		if inside {
			nr, args = int(regs.Orig_rax), [6]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9}
			before = nil
			if d.wanted(nr, args) {
				before = d.memory()
			}
		} else if before != nil {
			d.compare(nr, args, int64(regs.Rax), before)
		}
	}
}

// wanted reports whether a call is one of the first of its kind.
func (d *differ) wanted(nr int, args [6]uint64) bool {
	s, ok := Lookup(nr)
	if !ok || s.Class != Plain && s.Class != Hidden && s.Class != Faked {
		return false
	}
	key := s.Name
	switch s.Name {
	case "ioctl", "fcntl", "futex", "arch_prctl":
		key += fmt.Sprint(args[1])
	case "prctl":
		key += fmt.Sprint(args[0])
	case "getsockopt":
		key += fmt.Sprint(args[1], args[2])
	}
	d.seen[key]++
	return d.seen[key] <= 4
}

// block is a writable mapping and what it holds.
type block struct {
	start uint64
	data  []byte
}

func (d *differ) memory() []block {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", d.pid))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	var all []block
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var start, end uint64
		var perms string
		if _, err := fmt.Sscanf(sc.Text(), "%x-%x %s", &start, &end, &perms); err != nil {
			d.t.Fatal(err)
		}
		if !strings.HasPrefix(perms, "rw") || perms[3] != 'p' {
			continue
		}
		b := block{start, make([]byte, end-start)}
		if (mem.Live{PID: d.pid}).ReadAt(b.data, start) == nil {
			all = append(all, b)
		}
	}
	return all
}

func (d *differ) compare(nr int, args [6]uint64, ret int64, before []block) {
	d.checked = append(d.checked, nr)
	s := table[nr]
	if s.Class == Hidden {
		// Really executed here, unlike in a recording.
		return
	}
	m := mem.Live{PID: d.pid}
	ranges, err := Outputs(nr, args, ret, m, nil)
	if err != nil {
		d.t.Errorf("%s: %v", Text(nr, args, ret, nil, nil), err)
	}
	for _, r := range ranges {
		if _, err := mem.Bytes(m, r.Addr, int(r.Len)); err != nil {
			d.t.Errorf("%s: an output can't be read: %v", Text(nr, args, ret, nil, nil), err)
		}
	}
	for _, b := range before {
		after := make([]byte, len(b.data))
		if m.ReadAt(after, b.start) != nil || bytes.Equal(after, b.data) {
			continue
		}
		for i := range after {
			if after[i] != b.data[i] && !covered(ranges, b.start+uint64(i)) {
				d.t.Errorf("%s: the kernel wrote at %#x, which is in no output %x", Text(nr, args, ret, nil, nil), b.start+uint64(i), ranges)
				break
			}
		}
	}
}
