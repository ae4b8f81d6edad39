package main

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pyrr/internal/outfile"
)

// defaultDir is where recordings go without -o.
const defaultDir = "recordings"

// target is where a recording goes: the folder that is written while the
// program runs and the file that is kept.
type target struct {
	part, packed string
	// uncut is the folder of the recording before it was cut to its test; ""
	// where it was not.
	uncut string
	// program is the command's own file, as it was named.
	program string
	// made is set where prepare made the folder that they are in.
	made bool
}

// planTarget decides where the recording of a command goes. out is the value
// of -o: a file if it ends in .pyrr.zip, else a folder; "" is recordings/.
func planTarget(out string, command []string) (target, error) {
	if strings.HasSuffix(out, packedSuffix) {
		base := strings.TrimSuffix(out, packedSuffix)
		if b := filepath.Base(base); b == "." || strings.HasSuffix(base, "/") || base == "" {
			return target{}, usagef("record: -o %s: a name must stand before %s", out, packedSuffix)
		}
		if err := outfile.Replaceable(out); err != nil {
			return target{}, usagef("record: -o %v", err)
		}
		return target{part: base + partSuffix, packed: out}, nil
	}
	switch ext := filepath.Ext(out); ext {
	case ".zip", ".pyrr", ".part":
		if st, err := os.Stat(out); err != nil || !st.IsDir() {
			better := strings.TrimSuffix(strings.TrimSuffix(out, ext), ".pyrr") + packedSuffix
			return target{}, withHint(usagef("record: -o %s: the name of a recording ends in %s, and what does not is a folder", out, packedSuffix),
				"pyrr record -o "+shellQuote(better)+" -- "+shellJoin(command))
		}
	case "":
		if out == "" {
			out = defaultDir
		}
	}
	if st, err := os.Stat(out); err == nil && !st.IsDir() {
		return target{}, withHint(usagef("record: -o %s is a file, and no folder", out), "pyrr record -o "+shellQuote(out+packedSuffix)+" -- "+shellJoin(command))
	}
	name := recordingName(command) + "-" + shortID()
	return target{part: filepath.Join(out, name+partSuffix), packed: filepath.Join(out, name+packedSuffix)}, nil
}

// discard removes the .part folder, and the folder that it was in if that was
// made for it and holds nothing else.
func (t *target) discard() error {
	if t.uncut != "" {
		if err := os.RemoveAll(t.uncut); err != nil {
			return fmt.Errorf("remove %s: %w", t.uncut, err)
		}
	}
	if err := os.RemoveAll(t.part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", t.part, err)
	}
	if t.made {
		os.Remove(filepath.Dir(t.part)) // fails where something is in it
	}
	return nil
}

// putBack makes the recording again what it was before it was cut.
func (t *target) putBack() error {
	err := os.RemoveAll(t.part)
	if err == nil {
		err = os.Rename(t.uncut, t.part)
	}
	if err != nil {
		return fmt.Errorf("keep all of the recording: %w", err)
	}
	t.uncut = ""
	return nil
}

// pythonFlagsWithValue are the one-letter options of python3(1) that take an
// argument.
const pythonFlagsWithValue = "WXQ"

// recordingName derives a name from a command: the script or module that
// Python runs, else the program. It is fit for files and for artifact names.
func recordingName(command []string) string {
	if len(command) == 0 {
		return "recording"
	}
	name := filepath.Base(command[0])
	if isPythonName(name) {
		if script := pythonScript(command[1:]); script != "" {
			name = script
		}
	}
	return safeName(name)
}

// isPythonName recognises python, python3, python3.11, pypy3.
func isPythonName(name string) bool {
	for _, p := range []string{"python", "pypy"} {
		if rest, ok := strings.CutPrefix(name, p); ok && strings.Trim(rest, "0123456789.t") == "" {
			return true
		}
	}
	return false
}

// pythonScript finds what an interpreter is asked to run: the script's name
// without .py, or the module's; "" for -c and for stdin.
func pythonScript(args []string) string {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "-" || a == "-c" || strings.HasPrefix(a, "-c"):
			return ""
		case a == "-m":
			if i+1 < len(args) {
				return args[i+1]
			}
			return ""
		case strings.HasPrefix(a, "--"):
			if a == "--check-hash-based-pycs" {
				i++
			}
		case strings.HasPrefix(a, "-"):
			// Grouped letters: -Im module, -Wignore, -X dev.
			for j := 1; j < len(a); j++ {
				if strings.IndexByte(pythonFlagsWithValue, a[j]) >= 0 {
					if j == len(a)-1 {
						i++
					}
					break
				}
				if a[j] == 'c' {
					return ""
				}
				if a[j] == 'm' {
					if j < len(a)-1 {
						return a[j+1:]
					}
					if i+1 < len(args) {
						return args[i+1]
					}
					return ""
				}
			}
		default:
			base := strings.TrimSuffix(filepath.Base(a), ".py")
			if base == "__main__" {
				base = filepath.Base(filepath.Dir(a))
			}
			return base
		}
	}
	return ""
}

// safeName keeps letters, digits and a few marks: the rest is not allowed in
// the names of artifacts or needs quoting, and a leading dot hides a file.
func safeName(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-+", r):
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
		if b.Len() >= 80 {
			break
		}
	}
	out := strings.TrimLeft(b.String(), ".-")
	if out == "" || strings.Trim(out, "_.") == "" {
		return "recording"
	}
	return out
}

// shortID returns six characters that two recordings hardly share.
func shortID() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789"
	v := randomSeed()
	var b [6]byte
	for i := range b {
		b[i] = letters[v%uint64(len(letters))]
		v /= uint64(len(letters))
	}
	return string(b[:])
}

func randomSeed() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	// Small enough to be typed, and exact in JSON.
	return binary.LittleEndian.Uint64(b[:]) >> 11
}
