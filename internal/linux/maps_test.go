package linux

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseMapping(t *testing.T) {
	for line, want := range map[string]Mapping{
		"7f0000001000-7f0000003000 r-xp 00001000 fe:00 132045                     /usr/lib/x86_64-linux-gnu/libc.so.6": {
			0x7f0000001000, 0x7f0000003000, unix.PROT_READ | unix.PROT_EXEC, false, 0x1000, unix.Mkdev(0xfe, 0), 132045, "/usr/lib/x86_64-linux-gnu/libc.so.6"},
		"00400000-00401000 rw-s 00000000 00:01 7                                  /dev/zero (deleted)": {
			0x400000, 0x401000, unix.PROT_READ | unix.PROT_WRITE, true, 0, unix.Mkdev(0, 1), 7, "/dev/zero (deleted)"},
		"01c6d000-01c8e000 rw-p 00000000 00:00 0                                  [heap]": {
			0x1c6d000, 0x1c8e000, unix.PROT_READ | unix.PROT_WRITE, false, 0, 0, 0, "[heap]"},
		"7f38d7fed000-7f38d7fee000 ---p 00000000 00:00 0 ": {0x7f38d7fed000, 0x7f38d7fee000, 0, false, 0, 0, 0, ""},
	} {
		got, ok := parseMapping(line)
		if d := cmp.Diff(want, got); !ok || d != "" {
			t.Errorf("%s: %v\n%s", line, ok, d)
		}
	}
	for _, line := range []string{"", "x", "1-2", "1-2 rwx 0 0:0 0", "1-g rw-p 0 0:0 0", "1-2 rw-p 0 0:0 x"} {
		if m, ok := parseMapping(line); ok {
			t.Errorf("%q is read as %+v", line, m)
		}
	}
}

func TestReadMaps(t *testing.T) {
	all, err := ReadMaps(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(exe, &st); err != nil {
		t.Fatal(err)
	}
	code, last := false, uint64(0)
	for _, m := range all {
		if m.Start < last || m.End <= m.Start {
			t.Errorf("%+v comes after %#x", m, last)
		}
		last = m.End
		code = code || m.Ino == st.Ino && m.Dev == st.Dev && m.Prot&unix.PROT_EXEC != 0
	}
	if !code {
		t.Errorf("no code of %s among %d mappings", exe, len(all))
	}
	if _, err := ReadMaps(-1); err == nil {
		t.Error("process -1 has mappings")
	}
}
