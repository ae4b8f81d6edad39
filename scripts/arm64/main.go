//go:build linux && arm64

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const python = "/usr/bin/python3.13"

// Instructions. A stub has only x16 and x17: a dispatch leaves them to the linker, and
// the interpreter's function does not name them.
const (
	ldrCounter = 0x580000f0 // ldr x16, what stands 28 bytes on
	ldrCount   = 0xf9400211 // ldr x17, [x16]
	addOne     = 0x91000631 // add x17, x17, #1
	strCount   = 0xf9000211 // str x17, [x16]
	ldrTarget  = 0x580000b0 // ldr x16, what stands 20 bytes on
	brX16      = br | 16<<5
	nop        = 0xd503201f
	svc        = 0xd4000001 // svc #0
	brk        = 0xd4200000 // brk #0
)

const (
	stubSize = 64
	protBTI  = 0x10 // PROT_BTI: br may go to bti only
)

// program loops as often as it is told.
const program = `
import sys
def loop(n):
    i = 0
    while i < n:
        i += 1
    return i
assert loop(int(sys.argv[1])) == int(sys.argv[1])
`

// body prints how many instructions the loop of program has, by dis.
const body = program + `
import dis
code = [i for i in dis.get_instructions(loop) if i.opname != 'CACHE']
back = [i for i in code if i.opname == 'JUMP_BACKWARD'][0]
print(sum(back.jump_target <= i.offset <= back.offset for i in code))
`

func main() {
	runtime.LockOSThread() // ptrace's stops are told to the thread that traces
	if err := spike(); err != nil {
		fmt.Println("FAIL", err)
	}
	if os.Getpid() == 1 {
		_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
}

func spike() error {
	for _, fs := range []struct{ kind, at string }{{"proc", "/proc"}, {"devtmpfs", "/dev"}} {
		if err := unix.Mount(fs.kind, fs.at, fs.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", fs.at, err)
		}
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	fmt.Println("KERNEL", unix.ByteSliceToString(name.Release[:]), unix.ByteSliceToString(name.Machine[:]))
	t, err := findTable(python)
	if err != nil {
		return err
	}
	fmt.Println(t)
	out, err := exec.Command(python, "-S", "-B", "-c", body, "1").Output()
	if err != nil {
		return fmt.Errorf("ask for the loop's length: %w", err)
	}
	length, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return fmt.Errorf("the loop's length: %w", err)
	}
	fmt.Println("BODY", length)
	counts := map[int]uint64{}
	for _, n := range []int{10000, 20000, 40000, 40000} {
		had, again := counts[n]
		if counts[n], err = counted(t, "-S", "-B", "-c", program, strconv.Itoa(n)); err != nil {
			return err
		}
		fmt.Println("COUNT", n, counts[n])
		if again && had != counts[n] {
			return fmt.Errorf("the same program had %d and %d", had, counts[n])
		}
	}
	for _, n := range []int{10000, 20000} {
		if more, want := counts[2*n]-counts[n], uint64(n*length); more != want {
			return fmt.Errorf("%d rounds more are %d instructions, not %d", n, more, want)
		}
	}
	fmt.Println("PASS a round more is", length, "instructions more, each time")
	return nil
}

// counted runs Python with the stubs and returns how many instructions it executed.
func counted(t *table, args ...string) (uint64, error) {
	// Addresses that differ from run to run are what objects are hashed by.
	const noRandom = 0x0040000 // ADDR_NO_RANDOMIZE
	if _, _, e := unix.Syscall(unix.SYS_PERSONALITY, noRandom, 0, 0); e != 0 {
		return 0, fmt.Errorf("personality: %w", e)
	}
	p, err := os.StartProcess(python, append([]string{python}, args...), &os.ProcAttr{
		Env: []string{"PYTHONHASHSEED=0"}, Files: []*os.File{nil, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, fmt.Errorf("start: %w", err)
	}
	if _, err := stop(p.Pid); err != nil {
		return 0, err
	}
	if err := unix.PtraceSetOptions(p.Pid, unix.PTRACE_O_TRACEEXIT|unix.PTRACE_O_EXITKILL); err != nil {
		return 0, fmt.Errorf("set options: %w", err)
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", p.Pid), os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("open its memory: %w", err)
	}
	defer mem.Close()
	counters, err := install(p.Pid, mem, t)
	if err != nil {
		return 0, err
	}
	return total(p.Pid, mem, counters)
}

// total lets a process run to its end and adds its counters up.
func total(pid int, mem io.ReaderAt, counters uint64) (sum uint64, err error) {
	for signal := 0; ; {
		if err := unix.PtraceCont(pid, signal); err != nil {
			return 0, fmt.Errorf("continue: %w", err)
		}
		status, err := stop(pid)
		if err != nil {
			return 0, err
		}
		if status.Exited() {
			if status.ExitStatus() != 0 {
				return 0, fmt.Errorf("it exited with %d", status.ExitStatus())
			}
			return sum, nil
		}
		if signal = int(status.StopSignal()); status.TrapCause() != unix.PTRACE_EVENT_EXIT {
			continue
		}
		signal = 0
		b := make([]byte, 8*opcodes)
		if _, err := mem.ReadAt(b, int64(counters)); err != nil {
			return 0, fmt.Errorf("read the counters: %w", err)
		}
		for i := 0; i < len(b); i += 8 {
			sum += binary.LittleEndian.Uint64(b[i:])
		}
	}
}

// stop waits for a process.
func stop(pid int) (status unix.WaitStatus, err error) {
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return 0, fmt.Errorf("wait: %w", err)
	}
	if status.Signaled() {
		return 0, fmt.Errorf("it ended by %v", status.Signal())
	}
	return status, nil
}

// install gives a process that has just begun a stub for each entry of its table, and
// returns where the counters are.
func install(pid int, mem *os.File, t *table) (counters uint64, err error) {
	stubs, err := mapMemory(pid, mem, opcodes*stubSize, unix.PROT_READ|unix.PROT_EXEC|protBTI)
	if err != nil {
		return 0, err
	}
	if counters, err = mapMemory(pid, mem, 8*opcodes, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return 0, err
	}
	code, entries := make([]byte, 0, opcodes*stubSize), make([]byte, 0, 8*opcodes)
	for i, target := range t.targets {
		for _, w := range []uint32{btiJ, ldrCounter, ldrCount, addOne, strCount, ldrTarget, brX16, nop} {
			code = binary.LittleEndian.AppendUint32(code, w)
		}
		code = binary.LittleEndian.AppendUint64(code, counters+8*uint64(i))
		code = binary.LittleEndian.AppendUint64(code, target)
		for len(code) < (i+1)*stubSize {
			code = binary.LittleEndian.AppendUint32(code, nop)
		}
		entries = binary.LittleEndian.AppendUint64(entries, stubs+uint64(i*stubSize))
	}
	if _, err := mem.WriteAt(code, int64(stubs)); err != nil {
		return 0, fmt.Errorf("write the stubs: %w", err)
	}
	if _, err := mem.WriteAt(entries, int64(t.address)); err != nil {
		return 0, fmt.Errorf("write the table: %w", err)
	}
	return counters, nil
}

// mapMemory has a stopped process call mmap.
func mapMemory(pid int, mem *os.File, size, prot uint64) (uint64, error) {
	var was unix.PtraceRegsArm64
	if err := unix.PtraceGetRegSetArm64(pid, unix.NT_PRSTATUS, &was); err != nil {
		return 0, fmt.Errorf("read registers: %w", err)
	}
	there := make([]byte, 8)
	if _, err := mem.ReadAt(there, int64(was.Pc)); err != nil {
		return 0, fmt.Errorf("read its code: %w", err)
	}
	call := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, svc), brk)
	if _, err := mem.WriteAt(call, int64(was.Pc)); err != nil {
		return 0, fmt.Errorf("write a call: %w", err)
	}
	regs := was
	regs.Regs[8] = unix.SYS_MMAP
	copy(regs.Regs[:6], []uint64{0, size, prot, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS, ^uint64(0), 0})
	err := errors.Join(unix.PtraceSetRegSetArm64(pid, unix.NT_PRSTATUS, &regs), unix.PtraceCont(pid, 0))
	if err == nil {
		_, err = stop(pid)
	}
	if err == nil {
		err = unix.PtraceGetRegSetArm64(pid, unix.NT_PRSTATUS, &regs)
	}
	if err != nil {
		return 0, fmt.Errorf("make it map memory: %w", err)
	}
	if int64(regs.Regs[0]) < 0 {
		return 0, fmt.Errorf("mmap: %w", unix.Errno(-int64(regs.Regs[0])))
	}
	if _, err := mem.WriteAt(there, int64(was.Pc)); err != nil {
		return 0, fmt.Errorf("write its code back: %w", err)
	}
	if err := unix.PtraceSetRegSetArm64(pid, unix.NT_PRSTATUS, &was); err != nil {
		return 0, fmt.Errorf("set registers back: %w", err)
	}
	return regs.Regs[0], nil
}
