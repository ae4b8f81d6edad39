package cpython

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"pyrr/internal/mem"
	"strings"
	"testing"
)

// TestOpenRuntime finds the runtime of each interpreter and its version.
func TestOpenRuntime(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			p := startPython(t, in, "thirty.py")
			p.line(t)
			r := openLive(t, in, p.m.PID)
			_, want, _ := strings.Cut(strings.TrimSuffix(in.name, "t"), "-")
			if got := r.Version.String(); !strings.HasPrefix(got, want) || r.Version.Micro < 0 {
				t.Errorf("version %s, want %s", got, want)
			}
			// The same from what a recording keeps: the file's bytes.
			path, bias := pythonModule(t, p.m.PID)
			data, err := os.ReadFile(filepath.Join(in.root, path))
			if err != nil {
				t.Fatal(err)
			}
			kept, err := OpenRuntimeFile(bytes.NewReader(data), "/gone/python", bias, p.m)
			if err != nil || kept.Version != r.Version || kept.Addr != r.Addr {
				t.Errorf("by the file's bytes: %+v, error %v", kept, err)
			}
			// And from the address alone.
			if at, err := OpenRuntimeAt(r.Version, r.Addr, p.m); err != nil || at.Version != r.Version {
				t.Errorf("by address: %+v, error %v", at, err)
			}
			if at, err := OpenRuntimeAt(Version{}, r.Addr, p.m); (err == nil) != (r.Version.Minor >= 13) {
				t.Errorf("by address, without a version: %+v, error %v", at, err)
			}
			if _, err := OpenRuntimeAt(r.Version, 8, p.m); err == nil {
				t.Error("no error for an address that is not mapped")
			}
			if _, err := OpenRuntimeAt(r.Version, r.Addr+8, p.m); (err != nil) != (r.Version.Minor >= 13) {
				t.Errorf("eight bytes beside: %v", err)
			}
			// A file cut short gives the runtime or an error.
			for n := 1; n < len(data); n *= 3 {
				if r, err := OpenRuntimeFile(bytes.NewReader(data[:n]), "python", bias, p.m); err == nil && r.Addr != kept.Addr {
					t.Errorf("first %d bytes: runtime at %#x", n, r.Addr)
				}
			}
		})
	}
}

func TestOpenRuntimeRefuses(t *testing.T) {
	zero := &arena{b: make([]byte, 4096), alias: true}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		path string
		err  error
	}{
		{"a text", text, errNotELF},
		{"no Python", "/bin/sh", ErrNotPython},
		{"none", "/nonexistent/python3", os.ErrNotExist},
		{"a debug build", "/usr/bin/python3.11-dbg", ErrUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := os.Stat(tt.path); err != nil && tt.err != os.ErrNotExist {
				t.Skip(err)
			}
			if _, err := OpenRuntime(tt.path, 0, zero); !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
		})
	}
	for _, v := range []Version{{3, 7, 0}, {3, 16, 0}, {2, 7, 18}, {3, 13, 0}, {}} {
		if _, err := OpenRuntimeAt(v, 0x1000, zero); err == nil {
			t.Errorf("no error for version %v", v)
		}
	}
}

// OpenRuntime returns the reader of the CPython runtime in the ELF file at
// path (the interpreter, or the libpython that it loads), which the process
// has mapped bias bytes above its link addresses.
func OpenRuntime(path string, bias uint64, m mem.Reader) (*Runtime, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return OpenRuntimeFile(f, path, bias, m)
}

// OpenRuntimeFile is OpenRuntime for a file that is not on this machine's
// disk, such as one kept in a recording. name is the path that the process
// had it under; it tells the version of a 3.8 to 3.10 that has it nowhere
// else.
func OpenRuntimeFile(file io.ReaderAt, name string, bias uint64, m mem.Reader) (*Runtime, error) {
	addr, v, err := FindRuntime(file, name)
	if err != nil {
		return nil, err
	}
	r, err := OpenRuntimeAt(v, addr+bias, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}
