//go:build linux && amd64

package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// localFeatures are those of this process and its processor.
func localFeatures() []Feature {
	return []Feature{vdsoFeature(), pinFeature(), coresFeature(), cpuFeature()}
}

// atSysinfoEHDR is AT_SYSINFO_EHDR of getauxval(3), the address of the vDSO.
const atSysinfoEHDR = 33

// vdsoFeature looks for the vDSO in the auxiliary vector (proc(5),
// /proc/PID/auxv): pairs of words up to a pair of zeros.
func vdsoFeature() Feature {
	f := Feature{ID: VDSO, Title: "the kernel provides a vDSO", Need: NeedSpeed}
	b, err := os.ReadFile("/proc/self/auxv")
	if err != nil {
		f.Reason = err.Error()
		return f
	}
	f.Answer = Unsupported
	f.Reason = "no AT_SYSINFO_EHDR: every clock reading is a system call here, as it is without pyrr"
	for ; len(b) >= 16; b = b[16:] {
		if binary.LittleEndian.Uint64(b) == atSysinfoEHDR && binary.LittleEndian.Uint64(b[8:]) != 0 {
			f.Answer, f.Reason = Yes, ""
		}
	}
	return f
}

// pinFeature pins this thread to one of its processors and back: a stop of a
// traced thread costs several times more when tracer and tracee run on
// different ones.
func pinFeature() Feature {
	f := Feature{ID: Pin, Title: "threads can be pinned to a core", Need: NeedSpeed}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old, one, now unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		f.Answer, f.Reason = Unsupported, fmt.Sprintf("sched_getaffinity: %v", err)
		return f
	}
	for i := range len(old) * 64 {
		if old.IsSet(i) {
			one.Set(i)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		f.Answer, f.Reason = Unsupported, fmt.Sprintf("sched_setaffinity: %v", err)
		return f
	}
	err := unix.SchedGetaffinity(0, &now)
	if back := unix.SchedSetaffinity(0, &old); back != nil {
		f.Reason = fmt.Sprintf("sched_setaffinity back: %v", back)
		return f
	}
	if err != nil || now.Count() != 1 {
		f.Reason = "sched_setaffinity had no effect"
		return f
	}
	f.Answer = Yes
	return f
}

func coresFeature() Feature {
	f := Feature{ID: Cores, Title: "processors to run on", Answer: Yes}
	f.Value = strconv.Itoa(runtime.NumCPU())
	if q, ok := cpuQuota(); ok {
		f.Value += fmt.Sprintf(", limited to %.1f by the control group", q)
	}
	return f
}

// cpuQuota reads the limit of cgroup v2 (cpu.max: quota and period in µs).
func cpuQuota() (float64, bool) {
	b, err := os.ReadFile("/sys/fs/cgroup/cpu.max")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(b))
	if len(fields) != 2 {
		return 0, false
	}
	quota, err1 := strconv.ParseFloat(fields[0], 64)
	period, err2 := strconv.ParseFloat(fields[1], 64)
	if err1 != nil || err2 != nil || period <= 0 {
		return 0, false
	}
	return quota / period, true
}

func cpuFeature() Feature {
	f := Feature{ID: CPU, Title: "processor"}
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		f.Reason = err.Error()
		return f
	}
	model, flags := parseCPUInfo(b)
	if len(flags) == 0 {
		f.Reason = "/proc/cpuinfo lists no flags"
		return f
	}
	f.Answer = Yes
	f.Value = strings.TrimSpace(fmt.Sprintf("%s, x86-64-v%d", model, CPULevel(flags)))
	return f
}

// parseCPUInfo returns the model and the flags of the first processor in
// /proc/cpuinfo.
func parseCPUInfo(b []byte) (model string, flags []string) {
	for line := range bytes.Lines(b) {
		key, value, ok := strings.Cut(string(line), ":")
		if !ok {
			continue
		}
		switch strings.TrimSpace(key) {
		case "model name":
			model = strings.TrimSpace(value)
		case "flags":
			return model, strings.Fields(value)
		}
	}
	return model, flags
}

// cpuLevels are the micro-architecture levels of the x86-64 psABI, in the
// words of /proc/cpuinfo (abm is LZCNT; osxsave is implied by avx there).
var cpuLevels = [][]string{
	2: {"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"},
	3: {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"},
	4: {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}

// CPULevel returns the x86-64 micro-architecture level, 1 to 4, that the
// flags of /proc/cpuinfo add up to.
func CPULevel(flags []string) int {
	for level := 2; level < len(cpuLevels); level++ {
		for _, want := range cpuLevels[level] {
			if !slices.Contains(flags, want) {
				return level - 1
			}
		}
	}
	return len(cpuLevels) - 1
}
