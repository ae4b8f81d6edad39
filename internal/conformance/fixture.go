package conformance

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"pyrr/internal/setup"
)

// Fixture is one program of the folder fixtures, with what its header says.
type Fixture struct {
	// Name is the file's name without its suffix.
	Name string
	// Requires are modules, and versions as in python>=3.12.
	Requires []string
	// Exit is the status it ends with.
	Exit int
	// Hangs says that it never ends by itself.
	Hangs bool
	// FollowAll says that its native children are to be recorded too.
	FollowAll bool
	// Incomplete says that it does what can't be recorded to the end.
	Incomplete bool
}

// Fixtures reads the headers of all programs in a folder.
func Fixtures(dir string) ([]Fixture, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.py"))
	if err != nil {
		return nil, err
	}
	var all []Fixture
	for _, path := range paths {
		f, err := readFixture(path)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no fixtures in %s", dir)
	}
	return all, nil
}

func readFixture(path string) (Fixture, error) {
	f := Fixture{Name: strings.TrimSuffix(filepath.Base(path), ".py")}
	file, err := os.Open(path)
	if err != nil {
		return f, fmt.Errorf("read fixture: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "import ") || strings.HasPrefix(line, "from ") {
			break
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "# "), ": ")
		if !ok || !strings.HasPrefix(line, "# ") {
			continue
		}
		switch key {
		case "requires":
			f.Requires = append(f.Requires, value)
		case "hangs":
			f.Hangs = value == "yes"
		case "follow":
			f.FollowAll = value == "all"
		case "incomplete":
			f.Incomplete = value == "yes"
		case "exit":
			if f.Exit, err = strconv.Atoi(value); err != nil {
				return f, fmt.Errorf("%s: exit: %w", path, err)
			}
		}
	}
	return f, lines.Err()
}

// Stable are the lines of a fixture's output that are the same on every run.
func Stable(stdout string) []string {
	var kept []string
	for line := range strings.Lines(stdout) {
		if !strings.HasPrefix(line, "~") {
			kept = append(kept, line)
		}
	}
	return kept
}

// Interpreter is a Python to run programs with.
type Interpreter struct {
	Name, Version string
	// Command runs it; where it is a chroot, Root is the folder.
	Command []string
	Root    string
	modules map[string]bool
}

// Interpreters are those that scripts/interpreters.sh lists, and the virtual
// environment in place of the Python it was made from.
func Interpreters(ctx context.Context, repo string) ([]*Interpreter, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(repo, "scripts", "interpreters.sh"), "list")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list interpreters: %w", err)
	}
	var all []*Interpreter
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("list interpreters: %q", line)
		}
		i := &Interpreter{Name: f[0], Version: f[1], Command: f[2:], modules: map[string]bool{}}
		if f[2] == "chroot" {
			i.Root = f[3]
		}
		if python := venv(); i.Name == "deb311" && python != "" {
			i.Command = []string{python}
		}
		all = append(all, i)
	}
	return all, nil
}

// venv is the virtual environment's Python, or "".
func venv() string {
	python := setup.Path("venv-311/bin/python")
	if _, err := os.Stat(python); err != nil {
		return ""
	}
	return python
}

// Lacks is the first requirement that the interpreter does not meet, or "".
func (i *Interpreter) Lacks(f Fixture) string {
	for _, need := range f.Requires {
		if want, ok := strings.CutPrefix(need, "python>="); ok {
			if slices.Compare(version(i.Version), version(want)) < 0 {
				return need
			}
			continue
		}
		has, known := i.modules[need]
		if !known {
			cmd := exec.Command(i.Command[0], append(slices.Clone(i.Command[1:]), "-c", "import "+need)...)
			has = cmd.Run() == nil
			i.modules[need] = has
		}
		if !has {
			return "the module " + need
		}
	}
	return ""
}

// version is a version's numbers.
func version(s string) []int {
	var v []int
	for part := range strings.SplitSeq(s, ".") {
		n, _ := strconv.Atoi(part)
		v = append(v, n)
	}
	return v
}

// Case is the trial of a fixture under an interpreter.
func (f Fixture) Case(i *Interpreter, dir string) Case {
	var flags []string
	if f.FollowAll {
		flags = []string{"--follow", "all"}
	}
	return Case{
		Name:        i.Name + "/" + f.Name,
		Flags:       flags,
		Incomplete:  f.Incomplete,
		Argv:        append(slices.Clone(i.Command), "{}/"+f.Name+".py"),
		Prepare:     func(folder string) error { return CopyProgram(folder, dir, f.Name) },
		Root:        i.Root,
		NativeLimit: setup.Patience(time.Minute),
		Native: func(out Output) Verdict {
			if out.Status != f.Exit {
				return Fail
			}
			return Pass
		},
		Judge: func(native, recorded Output) string {
			want, got := Stable(native.Stdout), Stable(recorded.Stdout)
			switch {
			case recorded.Status != native.Status:
				return fmt.Sprintf("status %d, not %d: %s", recorded.Status, native.Status, lastLine(recorded))
			case !slices.Equal(want, got):
				return "stdout: " + firstDifference(strings.Join(want, ""), strings.Join(got, ""))
			}
			return ""
		},
	}
}

// CopyProgram puts a fixture of dir into a folder, which is made: the program, which
// stands alone, and the folder data, which some read.
func CopyProgram(folder, dir, name string) error {
	text, err := os.ReadFile(filepath.Join(dir, name+".py"))
	if err != nil {
		return fmt.Errorf("copy a fixture: %w", err)
	}
	if err := os.CopyFS(filepath.Join(folder, "data"), os.DirFS(filepath.Join(dir, "data"))); err != nil {
		return fmt.Errorf("copy a fixture's data: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".py"), text, 0o644); err != nil {
		return fmt.Errorf("copy a fixture: %w", err)
	}
	return nil
}

// FixtureCases are the trials of all fixtures under all interpreters here,
// without those that hang and those whose requirements are not met.
func FixtureCases(ctx context.Context, repo, dir string) ([]Case, error) {
	fixtures, err := Fixtures(dir)
	if err != nil {
		return nil, err
	}
	interpreters, err := Interpreters(ctx, repo)
	if err != nil {
		return nil, err
	}
	var cases []Case
	for _, i := range interpreters {
		for _, f := range fixtures {
			if !f.Hangs && i.Lacks(f) == "" {
				cases = append(cases, f.Case(i, dir))
			}
		}
	}
	return cases, nil
}
