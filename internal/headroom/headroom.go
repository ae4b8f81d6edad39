// Package headroom tells how much more memory this process and its children
// may use before the kernel refuses it or kills one of them: by what the
// machine has free, by the limits of the control groups that the process is
// in, and by strict accounting.
// It sets no limit. Begin with Open and Meter.Free.
package headroom

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Unlimited is what Free returns where nothing could be read.
const Unlimited = math.MaxInt64

// Meter reads the limits that hold for this process. The zero value knows the
// machine's memory alone.
type Meter struct {
	proc   string
	groups []group
}

// group is a control group that has a limit, or may get one.
type group struct {
	dir string
	v1  bool
}

// Open finds the control groups of this process.
func Open() *Meter { return open("/proc", "") }

// open is Open below other roots: proc is where proc(5) lies, and root comes
// before the mount points that it names.
func open(proc, root string) *Meter {
	m := &Meter{proc: proc}
	paths := groupPaths(filepath.Join(proc, "self/cgroup"))
	for _, mt := range groupMounts(filepath.Join(proc, "self/mountinfo")) {
		path, ok := paths[mt.v1]
		if !ok {
			continue
		}
		// In a container the mount may show a part of the tree alone.
		rel := strings.TrimPrefix(path, strings.TrimSuffix(mt.root, "/"))
		base := filepath.Join(root, mt.point)
		for dir := filepath.Join(base, rel); ; dir = filepath.Dir(dir) {
			g := group{dir, mt.v1}
			if _, ok := g.limit(); ok {
				m.groups = append(m.groups, g)
			}
			if dir == base || len(dir) <= len(base) {
				break
			}
		}
	}
	return m
}

// groupPaths reads the groups of the process that limit memory, by whether
// they are of version 1 (cgroups(7), "/proc/PID/cgroup").
func groupPaths(file string) map[bool]string {
	paths := map[bool]string{}
	lines(file, func(line string) {
		f := strings.SplitN(line, ":", 3)
		if len(f) < 3 {
			return
		}
		if f[0] == "0" && f[1] == "" {
			paths[false] = f[2]
		}
		for c := range strings.SplitSeq(f[1], ",") {
			if c == "memory" {
				paths[true] = f[2]
			}
		}
	})
	return paths
}

type groupMount struct {
	root, point string
	v1          bool
}

// groupMounts lists where control groups of memory are mounted
// (proc_pid_mountinfo(5)).
func groupMounts(file string) []groupMount {
	var out []groupMount
	lines(file, func(line string) {
		left, right, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(left), strings.Fields(right)
		if !ok || len(f) < 5 || len(g) < 3 {
			return
		}
		mt := groupMount{root: f[3], point: f[4]}
		switch g[0] {
		case "cgroup2":
		case "cgroup":
			mt.v1 = true
			if !strings.Contains(","+g[2]+",", ",memory,") {
				return
			}
		default:
			return
		}
		out = append(out, mt)
	})
	return out
}

// limit returns the bytes that the group may use, and whether it has the
// files that say so.
func (g group) limit() (int64, bool) {
	if g.v1 {
		n, ok := number(filepath.Join(g.dir, "memory.limit_in_bytes"))
		if n > 1<<60 {
			n = Unlimited
		}
		return n, ok
	}
	n, ok := number(filepath.Join(g.dir, "memory.max"))
	if high, hok := number(filepath.Join(g.dir, "memory.high")); hok {
		n, ok = min(n, high), true
	}
	return n, ok
}

// used returns the bytes that the group uses and could not give up: what is
// cached of files is not counted.
func (g group) used() (int64, bool) {
	name, prefix := "memory.current", ""
	if g.v1 {
		name, prefix = "memory.usage_in_bytes", "total_"
	}
	n, ok := number(filepath.Join(g.dir, name))
	if !ok {
		return 0, false
	}
	lines(filepath.Join(g.dir, "memory.stat"), func(line string) {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case prefix + "inactive_file", prefix + "active_file", "slab_reclaimable":
			v, _ := strconv.ParseInt(value, 10, 64)
			n -= v
		}
	})
	return max(n, 0), true
}

// Free returns how many bytes more may be used, and of how many.
func (m *Meter) Free() (free, limit int64) {
	free, limit = Unlimited, Unlimited
	less := func(f, l int64) {
		if f < free {
			free, limit = max(f, 0), l
		}
	}
	for _, g := range m.groups {
		l, ok := g.limit()
		if !ok || l == Unlimited {
			continue
		}
		if u, ok := g.used(); ok {
			less(l-u, l)
		}
	}
	info := memInfo(filepath.Join(m.procDir(), "meminfo"))
	if avail, ok := info["MemAvailable"]; ok {
		less(avail+info["SwapFree"], info["MemTotal"]+info["SwapTotal"])
	}
	// Without overcommitting, what is promised counts, used or not
	// (proc_sys_vm(5), "overcommit_memory").
	if mode, ok := number(filepath.Join(m.procDir(), "sys/vm/overcommit_memory")); ok && mode == 2 {
		if l, ok := info["CommitLimit"]; ok {
			less(l-info["Committed_AS"], l)
		}
	}
	return free, limit
}

// Strict reports whether the kernel refuses what it could not back
// (overcommit_memory is 2): then a copy of a process that is never written to
// counts as much as the process.
func (m *Meter) Strict() bool {
	mode, ok := number(filepath.Join(m.procDir(), "sys/vm/overcommit_memory"))
	return ok && mode == 2
}

func (m *Meter) procDir() string {
	if m.proc == "" {
		return "/proc"
	}
	return m.proc
}

// memInfo reads the sizes in meminfo, in bytes.
func memInfo(file string) map[string]int64 {
	out := map[string]int64{}
	lines(file, func(line string) {
		key, rest, _ := strings.Cut(line, ":")
		value, unit, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && unit == "kB" {
			out[key] = n << 10
		}
	})
	return out
}

// number reads a file that holds one number, or "max".
func number(file string) (int64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Unlimited, false
	}
	s := string(bytes.TrimSpace(b))
	if s == "max" {
		return Unlimited, true
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return Unlimited, false
	}
	return int64(min(n, Unlimited)), true
}

func lines(file string, f func(string)) {
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		f(s.Text())
	}
}
