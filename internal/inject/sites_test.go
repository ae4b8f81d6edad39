package inject

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// systemFiles are the files of this machine that hold sites, by what the
// dynamic linker calls them.
var systemFiles = []struct {
	name  string
	globs []string
	want  []Insn // at least one site of each
}{
	{"ld.so", []string{"/lib64/ld-linux-x86-64.so.2"}, []Insn{Rdtsc, Cpuid, Xgetbv}},
	{"libc", []string{"/lib/x86_64-linux-gnu/libc.so.6"}, []Insn{Rdtsc}},
	{"libcrypto", []string{"/usr/lib/x86_64-linux-gnu/libcrypto.so.3", "/usr/lib/x86_64-linux-gnu/libcrypto.so.1.1"},
		[]Insn{Rdtsc, Cpuid, Rdrand, Rdseed, Xgetbv}},
	{"libstdc++", []string{"/usr/lib/x86_64-linux-gnu/libstdc++.so.6"}, []Insn{Cpuid, Rdrand, Rdseed}},
	{"libgcc", []string{"/usr/lib/x86_64-linux-gnu/libgcc_s.so.1", "/lib/x86_64-linux-gnu/libgcc_s.so.1"}, []Insn{Cpuid, Xgetbv}},
	{"python", []string{"/usr/bin/python3"}, nil},
}

func firstFile(globs []string) string {
	for _, g := range globs {
		if m, _ := filepath.Glob(g); len(m) > 0 {
			return m[0]
		}
	}
	return ""
}

var objdumpLine = regexp.MustCompile(`^\s*([0-9a-f]+):\t(?:[a-z0-9.]+ )*(rdtsc|rdtscp|cpuid|rdrand|rdseed|rdpid|xgetbv)\b`)

// objdumpSites lists the wanted instructions of a whole-file disassembly.
func objdumpSites(t *testing.T, path string, line *regexp.Regexp) map[uint64]string {
	t.Helper()
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("objdump is not installed")
	}
	cmd := exec.Command(objdump, "-d", "--no-show-raw-insn", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sites := map[uint64]string{}
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		if m := line.FindStringSubmatch(sc.Text()); m != nil {
			addr, _ := strconv.ParseUint(m[1], 16, 64)
			sites[addr] = m[2]
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return sites
}

// TestSitesOfSystemFiles compares the scanner with objdump. Every site found
// must be an instruction there; what objdump lists beyond that must lie
// outside known functions, as data does.
func TestSitesOfSystemFiles(t *testing.T) {
	for _, tt := range systemFiles {
		t.Run(tt.name, func(t *testing.T) {
			path := firstFile(tt.globs)
			if path == "" {
				t.Skipf("none of %v here", tt.globs)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			sites, missed, err := scan(f)
			if err != nil {
				t.Fatal(err)
			}
			count := map[Insn]int{}
			got := map[uint64]string{}
			for _, s := range sites {
				count[s.Insn]++
				got[s.Vaddr] = s.Insn.String()
				var b [maxSite]byte
				if _, err := f.ReadAt(b[:s.Len], int64(s.Off)); err != nil || b != s.Orig {
					t.Errorf("site %#x: file has % x at its offset, want % x (%v)", s.Vaddr, b, s.Orig, err)
				}
			}
			t.Logf("%s: %v; %d candidates outside known functions", path, count, len(missed))
			for _, insn := range tt.want {
				if count[insn] == 0 {
					t.Errorf("no %v found", insn)
				}
			}
			want := objdumpSites(t, path, objdumpLine)
			for addr, name := range want {
				// Prefixes put the candidate bytes behind the instruction's start.
				near := func(m uint64) bool { return m >= addr && m < addr+maxInsn }
				if got[addr] == "" && slices.ContainsFunc(missed, near) {
					t.Logf("%#x %s lies outside known functions", addr, name)
					delete(want, addr)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sites differ from objdump's (-objdump +found):\n%s", diff)
			}
		})
	}
}

// compile builds a C program of testdata.
func compile(t *testing.T, name string, flags ...string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("gcc is not installed")
	}
	out := filepath.Join(t.TempDir(), name)
	args := append([]string{"-O1", "-o", out, filepath.Join("testdata", name+".c")}, flags...)
	if msg, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		if strings.Contains(string(msg), "cannot find") {
			t.Skipf("can't link with %v: %s", flags, msg)
		}
		t.Fatalf("%v: %s", err, msg)
	}
	return out
}

// TestSitesInGaps has assembly without unwind information in a stripped
// library.
func TestSitesInGaps(t *testing.T) {
	path := compile(t, "gaps", "-shared", "-nostdlib", "-fcf-protection=none", "-s")
	sites, err := Sites(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range sites {
		got = append(got, s.Insn.String())
	}
	if diff := cmp.Diff([]string{"cpuid", "rdtsc", "xgetbv"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestSitesWithoutSections reads a library whose section headers are gone.
func TestSitesWithoutSections(t *testing.T) {
	path := firstFile(systemFiles[0].globs)
	if path == "" {
		t.Skip("no ld.so here")
	}
	want, err := Sites(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[0x28:], make([]byte, 8)) // e_shoff
	copy(b[0x3c:], make([]byte, 4)) // e_shnum, e_shstrndx
	file := filepath.Join(t.TempDir(), "ld.so")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Sites(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-with +without):\n%s", diff)
	}
}

func TestSitesOfOtherFiles(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name    string
		data    string
		wantErr bool
	}{
		{"empty", "", false},
		{"script", "#!/bin/sh\necho \x0f\xa2 \x0f\x31 and more\n", false},
		{"32 bit", "\x7fELF\x01\x01\x01" + strings.Repeat("\x00", 60), false},
		{"ARM", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00\xb7\x00" + strings.Repeat("\x00", 44), false},
		{"cut", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x03\x00\x3e\x00" + "\x01\x00", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(dir, "file")
			if err := os.WriteFile(file, []byte(tt.data), 0o600); err != nil {
				t.Fatal(err)
			}
			sites, err := Sites(file)
			if len(sites) > 0 || (err != nil) != tt.wantErr {
				t.Errorf("got %v, %v", sites, err)
			}
		})
	}
}

func ExampleSite_Trap() {
	s := Site{Len: 4}
	fmt.Printf("% x\n", s.Trap())
	// Output: 0f 0b 90 90
}

// Sites finds the sites of a file by its path.
func Sites(path string) ([]Site, error) { return sitesIn(path, sitesOf) }

// sitesIn has find look for sites in a file.
func sitesIn[T any](path string, find func(r io.ReaderAt, path string) ([]T, error)) ([]T, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return find(f, path)
}
