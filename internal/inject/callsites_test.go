package inject

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"pyrr/internal/setup"
)

// cLibraries are the C libraries of the machine and of the other interpreters'.
func cLibraries(t *testing.T) []string {
	all, _ := filepath.Glob("/lib/x86_64-linux-gnu/libc.so.6")
	more, _ := filepath.Glob(setup.Path("roots") + "/*/lib/x86_64-linux-gnu/libc.so.6")
	all = append(all, more...)
	if len(all) == 0 {
		t.Skip("no C library of Debian's here")
	}
	return all
}

func TestCallSitesOfLibc(t *testing.T) {
	for _, path := range cLibraries(t) {
		path, err := filepath.EvalSymlinks(path)
		if err != nil {
			t.Fatal(err)
		}
		sites, err := CallSites(path)
		if err != nil {
			t.Fatal(err)
		}
		// glibc has about 400 system call instructions, most followed by the
		// comparison of their result. Those that show a number that always stops
		// are left alone.
		if len(sites) < 100 {
			t.Errorf("%s: only %d sites", path, len(sites))
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range sites {
			call := s.Orig[len(s.before()):]
			if !bytes.Equal(file[s.Off:s.Off+uint64(s.Len)], s.Orig) || call[0] != 0x0f || call[1] != 0x05 {
				t.Fatalf("%s: site at %#x: % x", path, s.Vaddr, s.Orig)
			}
			if i > 0 && sites[i-1].Vaddr+uint64(sites[i-1].Len) > s.Vaddr {
				t.Fatalf("%s: sites at %#x and %#x overlap", path, sites[i-1].Vaddr, s.Vaddr)
			}
		}
		var text []string
		for _, s := range sites {
			text = append(text, encodeCallSite(s))
		}
		again, ok := decodeCallSites(text)
		if !ok || len(again) != len(sites) || again[len(again)-1].Vaddr != sites[len(sites)-1].Vaddr {
			t.Errorf("%s: the cache gives %d of %d sites", path, len(again), len(sites))
		}
	}
}

// Every jump that BuildCalls makes leads where it should, and a trampoline
// leads back to its site.
func TestBuildCalls(t *testing.T) {
	const bias, base = 0x7f0000000000, 0x7effff000000
	sites := []CallSite{
		{Vaddr: 0x1000, Len: 8, Orig: []byte{0x0f, 0x05, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff}},
		{Vaddr: 0x2345, Len: 7, Orig: []byte{0x0f, 0x05, 0x3d, 0, 0xf0, 0xff, 0xff}},
		{Vaddr: 0x3456, Len: 7, Orig: []byte{0xb8, 0x27, 0, 0, 0, 0x0f, 0x05}},
		{Vaddr: 0x4567, Len: 7, Orig: []byte{0x0f, 0x05, 0x49, 0x8b, 0x44, 0x24, 0x28}}, // mov rax, [r12+0x28]
		{Vaddr: 0x5678, Len: 9, Orig: []byte{0x0f, 0x05, 0x80, 0xbb, 0xf8, 8, 0, 0, 0}}, // cmp byte [rbx+0x8f8], 0
	}
	img, err := BuildCalls(base, bias, sites)
	if err != nil {
		t.Fatal(err)
	}
	m := writes(img.Writes)
	for i, s := range sites {
		at := uint64(base + callCommon + i*trampSize)
		if to := m.jump(t, bias+s.Vaddr); to != at {
			t.Errorf("the site at %#x leads to %#x, not %#x", s.Vaddr, to, at)
		}
		k := uint64(len(s.before()))
		if to := m.jump(t, at+k+7); to != base {
			t.Errorf("trampoline %d leads to %#x, not to the common code", i, to)
		}
		if to := m.jump(t, at+k+uint64(trampSlow+2+5+len(s.after()))); to != bias+s.Vaddr+uint64(s.Len) {
			t.Errorf("trampoline %d goes on at %#x", i, to)
		}
		if pc, ok := CallSiteOf(m, base, at+k+trampSlow+2); !ok || pc != bias+s.Vaddr+k+2 {
			t.Errorf("trampoline %d stands for %#x, %v", i, pc, ok)
		}
	}
	if _, ok := CallSiteOf(m, base, base+callCommon+uint64(len(sites))*trampSize); ok {
		t.Error("one more trampoline stands for something")
	}
	if _, err := BuildCalls(base-1<<32, bias, sites); err == nil {
		t.Error("an area 4 GiB away is taken")
	}
}

// writes are memory: what was written, and zeros elsewhere in it.
type writes []Write

func (w writes) ReadAt(p []byte, addr uint64) error {
	clear(p)
	for _, x := range w {
		for i := range p {
			if at := addr + uint64(i); at >= x.Addr && at-x.Addr < uint64(len(x.Data)) {
				p[i] = x.Data[at-x.Addr]
			}
		}
	}
	return nil
}

// jump is where the jump at addr leads to.
func (w writes) jump(t *testing.T, addr uint64) uint64 {
	var b [5]byte
	w.ReadAt(b[:], addr)
	if b[0] != 0xe9 {
		t.Fatalf("no jump at %#x but % x", addr, b)
	}
	return addr + 5 + uint64(int64(int32(binary.LittleEndian.Uint32(b[1:]))))
}

func FuzzCallsIn(f *testing.F) {
	rec := make([]byte, callHead+16)
	rec[recOutLen], rec[recInLen] = 9, 3
	f.Add(rec)
	f.Add(append(bytes.Clone(rec), rec...))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for c, err := range CallsIn(b) {
			if err != nil {
				return
			}
			n += callHead + len(c.Out) + len(c.In)
		}
		if n > len(b) {
			t.Errorf("%d bytes of calls in %d", n, len(b))
		}
	})
}

// The common code has room, or every call would stop and nobody be told.
func TestCallsAreaIsBuilt(t *testing.T) {
	sites := []CallSite{{Vaddr: 0x1000, Len: 8, Orig: []byte{0x0f, 0x05, 0x48, 0x3d, 0, 0xf0, 0xff, 0xff}},
		{Vaddr: 0x9000, Len: 7, Orig: []byte{0xb8, 12, 0, 0, 0, 0x0f, 0x05}}}
	img, err := BuildCalls(0x10000000, 0, sites)
	if err != nil {
		t.Fatal(err)
	}
	late, now := img.Split(1)
	if len(late) != 1 || late[0].Addr != 0x9000 || len(now) != 2 || now[0].Addr != 0x1000 || now[1].Addr != img.Base {
		t.Errorf("split into %+v and %d others", late, len(now))
	}
	// What borrows the memory of another process has descriptors of its own.
	table := func(p Permits) []byte { return img.Permit(p)[1].Data }
	for _, nr := range []int{0, 1, 257, 262, 5, 72} { // read, write, openat, newfstatat, fstat, fcntl
		if table(Permits{Borrows: true})[nr] != classNone {
			t.Errorf("a borrower may make call %d", nr)
		}
		if table(Permits{})[nr] == classNone {
			t.Errorf("call %d stops", nr)
		}
	}
	const fdatasync, sendto, ftruncate = 75, 44, 77
	if table(Permits{Shares: true})[ftruncate] != classNone || table(Permits{})[ftruncate] == classNone {
		t.Error("a file that is shown in memory may be cut")
	}
	if table(Permits{})[fdatasync] != classNone || table(Permits{Alone: true})[fdatasync] == classNone || table(Permits{})[sendto] != classNone {
		t.Error("the permits are not kept")
	}
	for _, nr := range []int{41, 53, 288} { // socket, socketpair, accept4
		if table(Permits{})[nr] != classNone || table(Permits{Streams: true})[nr] == classNone {
			t.Errorf("call %d makes sockets that may have a low-water mark", nr)
		}
	}
}

// CallSites finds the sites of a file by its path.
func CallSites(path string) ([]CallSite, error) { return sitesIn(path, callSites) }
