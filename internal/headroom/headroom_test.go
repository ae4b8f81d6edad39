package headroom

import (
	"os"
	"path/filepath"
	"testing"
)

const meminfo = "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\nCommitLimit:     8000000 kB\nCommitted_AS:    7900000 kB\n"

func TestFree(t *testing.T) {
	const v2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	for _, test := range []struct {
		name        string
		files       map[string]string
		free, limit int64
	}{
		{"the machine", map[string]string{"proc/meminfo": meminfo}, 8000000 << 10, 16000000 << 10},
		{"nothing to read", nil, Unlimited, Unlimited},
		{"strict accounting", map[string]string{"proc/meminfo": meminfo, "proc/sys/vm/overcommit_memory": "2\n"}, 100000 << 10, 8000000 << 10},
		{"version 2, with what files cache", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/b/memory.max": "1000000000\n", "sys/fs/cgroup/a/b/memory.current": "900000000\n",
			"sys/fs/cgroup/a/b/memory.stat": "anon 5\ninactive_file 100000000\nactive_file 50000000\n",
		}, 250000000, 1000000000},
		{"version 2, the group around it", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "10\n",
			"sys/fs/cgroup/a/memory.max": "500000000\n", "sys/fs/cgroup/a/memory.current": "400000000\n",
		}, 100000000, 500000000},
		{"version 2, in a container of its own", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.high": "300\n", "sys/fs/cgroup/memory.current": "100\n",
		}, 200, 300},
		{"version 1, of which a part is mounted", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:cpu,memory:/docker/x\n0::/\n",
			"proc/self/mountinfo":                        "35 31 0:32 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "800\n",
			"sys/fs/cgroup/memory/memory.stat": "inactive_file 700\ntotal_inactive_file 300\n",
		}, 500, 1000},
		{"version 1 without a limit", map[string]string{
			"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n",
			"proc/self/mountinfo":                        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "800\n",
		}, 8000000 << 10, 16000000 << 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range test.files {
				file := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			free, limit := open(filepath.Join(root, "proc"), root).Free()
			if free != test.free || limit != test.limit {
				t.Errorf("%d of %d bytes, want %d of %d", free, limit, test.free, test.limit)
			}
		})
	}
}

// On whatever machine the tests run, something has to be known.
func TestFreeHere(t *testing.T) {
	if free, limit := Open().Free(); free <= 0 || limit == Unlimited || free > limit {
		t.Errorf("%d of %d bytes", free, limit)
	}
}
