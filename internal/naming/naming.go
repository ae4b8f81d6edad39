// Package naming names what is recorded: the folder that is written while the program
// runs, and the file that is kept.
//
// It never writes what is recorded. Begin with Plan.
package naming

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/outfile"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
)

// Target is where a recording goes: the folder that is written while the
// program runs and the file that is kept.
type Target struct {
	Part, Packed string
	// uncut is the folder of the recording before it was cut to its test; ""
	// where it was not.
	Uncut string
	// program is the command's own file, as it was named.
	Program string
	// made is set where prepare made the folder that they are in.
	Made bool
}

// bazelDir names the folder that Bazel keeps of a test; what lies elsewhere in its sandbox
// is deleted. An option can't name it, since --run_under expands no variables.
const bazelDir = "TEST_UNDECLARED_OUTPUTS_DIR"

// Plan decides where the recording of a command goes. out is the value
// of -o: a file if it ends in .pyrr.zip, else a folder; "" is recordings/, or what Bazel keeps.
func Plan(out string, command []string) (Target, error) {
	if strings.HasSuffix(out, recording.PackedSuffix) {
		base := strings.TrimSuffix(out, recording.PackedSuffix)
		if b := filepath.Base(base); b == "." || strings.HasSuffix(base, "/") || base == "" {
			return Target{}, hint.Usagef("record: -o %s: a name must stand before %s", out, recording.PackedSuffix)
		}
		if err := outfile.Replaceable(out); err != nil {
			return Target{}, hint.Usagef("record: -o %v", err)
		}
		return Target{Part: base + recording.PartSuffix, Packed: out}, nil
	}
	switch ext := filepath.Ext(out); ext {
	case ".zip", ".pyrr", ".part":
		if st, err := os.Stat(out); err != nil || !st.IsDir() {
			better := strings.TrimSuffix(strings.TrimSuffix(out, ext), ".pyrr") + recording.PackedSuffix
			return Target{}, hint.With(hint.Usagef("record: -o %s: the name of a recording ends in %s, and what does not is a folder", out, recording.PackedSuffix),
				"pyrr record -o "+printable.ShellQuote(better)+" -- "+printable.ShellJoin(command))
		}
	case "":
		if out == "" {
			out = cmp.Or(os.Getenv(bazelDir), find.DefaultDir)
		}
	}
	if st, err := os.Stat(out); err == nil && !st.IsDir() {
		return Target{}, hint.With(hint.Usagef("record: -o %s is a file, and no folder", out), "pyrr record -o "+printable.ShellQuote(out+recording.PackedSuffix)+" -- "+printable.ShellJoin(command))
	}
	name := RecordingName(command) + "-" + ShortID()
	return Target{Part: filepath.Join(out, name+recording.PartSuffix), Packed: filepath.Join(out, name+recording.PackedSuffix)}, nil
}

// Discard removes the .part folder, and the folder that it was in if that was
// made for it and holds nothing else.
func (t *Target) Discard() error {
	if t.Uncut != "" {
		if err := os.RemoveAll(t.Uncut); err != nil {
			return fmt.Errorf("remove %s: %w", t.Uncut, err)
		}
	}
	if err := os.RemoveAll(t.Part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", t.Part, err)
	}
	if t.Made {
		os.Remove(filepath.Dir(t.Part)) // fails where something is in it
	}
	return nil
}

// PutBack makes the recording again what it was before it was cut.
func (t *Target) PutBack() error {
	err := os.RemoveAll(t.Part)
	if err == nil {
		err = os.Rename(t.Uncut, t.Part)
	}
	if err != nil {
		return fmt.Errorf("keep all of the recording: %w", err)
	}
	t.Uncut = ""
	return nil
}

// pythonFlagsWithValue are the one-letter options of python3(1) that take an
// argument.
const pythonFlagsWithValue = "WXQ"

// RecordingName derives a name from a command: the script or module that
// Python runs, else the program. It is fit for files and for artifact names.
func RecordingName(command []string) string {
	if len(command) == 0 {
		return "recording"
	}
	name := filepath.Base(command[0])
	if isPythonName(name) {
		if script := pythonScript(command[1:]); script != "" {
			name = script
		}
	}
	return SafeName(name)
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

// SafeName keeps letters, digits and a few marks: the rest is not allowed in
// the names of artifacts or needs quoting, and a leading dot hides a file.
func SafeName(s string) string {
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

// ShortID returns six characters that two recordings hardly share.
func ShortID() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789"
	v := flagvalue.RandomSeed()
	var b [6]byte
	for i := range b {
		b[i] = letters[v%uint64(len(letters))]
		v /= uint64(len(letters))
	}
	return string(b[:])
}
