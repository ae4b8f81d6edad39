package replay

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pyrr/internal/mem"
)

// moduleSpan is where a module begins, and how many bytes of its file are mapped.
type moduleSpan struct{ start, kept uint64 }

// TestDynamicSymbol looks up symbols in the modules of a live process as the
// check does in a replayed one, and compares with the symbol tables that
// debug/elf reads from the files. Only the mapped part of a file is shown.
func TestDynamicSymbol(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no Python")
	}
	cmd := exec.Command(python, "-I", "-S", "-c", "import sys; print(1, flush=True); sys.stdin.read()")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "maps"))
	if err != nil {
		t.Fatal(err)
	}
	modules := modulesOf(maps)
	m := mem.Live{PID: cmd.Process.Pid}
	looked, python3 := 0, 0
	for path, span := range modules {
		all, err := elf.Open(path)
		if err != nil {
			continue // data
		}
		syms, err := all.DynamicSymbols()
		all.Close()
		if err != nil {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		part := bytes.NewReader(b[:min(span.kept, uint64(len(b)))])
		bias, ok := loadBias(part, span.start)
		if !ok {
			t.Errorf("%s: no load bias", path)
			continue
		}
		versions := map[string][]uint64{} // a name may have several
		for _, s := range syms {
			if s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) != elf.STT_TLS {
				versions[s.Name] = append(versions[s.Name], bias+s.Value)
			}
		}
		looked = lookUp(t, syms, versions, part, m, bias, looked, path)
		if _, ok := versions["_PyRuntime"]; ok {
			python3++
		}
	}
	if looked < 200 || python3 != 1 {
		t.Errorf("looked up %d symbols, in %d modules with a Python", looked, python3)
	}
	if _, err := dynamicSymbol(bytes.NewReader([]byte("no ELF")), m, 0, "x"); err == nil {
		t.Error("text counts as a module")
	}
}

// lookUp looks some names up, and returns how many with those before.
func lookUp(t *testing.T, syms []elf.Symbol, versions map[string][]uint64, part *bytes.Reader, m mem.Live, bias uint64, looked int, path string) int {
	step := len(syms)/300 + 1
	for i := 0; i < len(syms); i += step {
		name := syms[i].Name
		want, defined := versions[name]
		got, err := dynamicSymbol(part, m, bias, name)
		looked++
		switch {
		case !defined && err == nil && elf.ST_TYPE(syms[i].Info) != elf.STT_TLS:
			t.Errorf("%s: %s found at %#x, although undefined", path, name, got)
		case !defined:
		case err != nil:
			t.Errorf("%s: %s: %v", path, name, err)
		default:
			found := false
			for _, w := range want {
				found = found || w == got
			}
			if !found {
				t.Errorf("%s: %s at %#x, want one of %#x", path, name, got, want)
			}
		}
	}
	return looked
}

// modulesOf lists the files that are mapped from their beginnings.
func modulesOf(maps []byte) map[string]*moduleSpan {
	modules := map[string]*moduleSpan{}
	for line := range strings.Lines(string(maps)) {
		f := strings.Fields(line)
		if len(f) < 6 || !strings.HasPrefix(f[5], "/") {
			continue
		}
		lo, hi, _ := strings.Cut(f[0], "-")
		start, _ := strconv.ParseUint(lo, 16, 64)
		end, _ := strconv.ParseUint(hi, 16, 64)
		off, _ := strconv.ParseUint(f[2], 16, 64)
		m := modules[f[5]]
		if m == nil && off == 0 {
			m = &moduleSpan{start: start}
			modules[f[5]] = m
		}
		if m != nil {
			m.kept = max(m.kept, off+end-start)
		}
	}
	return modules
}
