//go:build linux && amd64

package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/setup"
)

// writes are the commands that write a file that the user names; FILE stands for it.
// says is what FILE has in it then, "" where the command writes only into regular files.
var writes = []struct {
	name, command, env, says string
	goesOn                   bool // where it can't write, the command does the rest and ends with 0
}{
	{"report", "report -o FILE r.pyrr.zip", "", "<!doctype html>", false},
	{"summary", "summary --markdown FILE r.pyrr.zip", "", "time.sleep", false},
	{"code quality", "summary --code-quality FILE r.pyrr.zip", "", "fingerprint", false},
	{"junit", "check --junitxml FILE spec.yaml", "", "<testsuite", false},
	{"page of a check", "check --html FILE spec.yaml", "", "<!doctype html>", false},
	{"summary of a job", "check spec.yaml", "GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=FILE", "1 held", true},
	{"new", "new --force -o FILE r.pyrr.zip", "", "version: 1", false},
	{"profile", "profile -o FILE r.pyrr.zip", "", "instructions", false},
	{"breakpoints", "replay -ex BREAK -ex SAVE r.pyrr.zip", "", "sleep", true},
	{"accept", "accept golden.yaml", "", "", false},
	{"update", "check --update golden.yaml", "", "", false},
	{"pack", "pack -o FILE r.pyrr.zip", "", "", false},
	{"record", "record -o FILE -- /bin/true", "", "", false},
}

const writtenSpec = `version: 1
name: written
recording: r.pyrr.zip
expect:
  - clock_nanosleep blocked at end as hang
`

// node is something that a name stands for, and what was written into it.
type node struct {
	path string
	got  func() string
	stop func()
}

// nodes make things that must not be replaced by a regular file.
var nodes = map[string]func(t *testing.T, path string) node{
	"fifo": func(t *testing.T, path string) node {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0) // so that nobody waits for a reader
		if err != nil {
			t.Fatal(err)
		}
		return node{path: path, got: collect(f, f), stop: func() { f.Close() }}
	},
	"terminal": func(t *testing.T, path string) node {
		master, slave := openPTY(t)
		if err := os.Symlink(slave.Name(), path); err != nil {
			t.Fatal(err)
		}
		return node{path: slave.Name(), got: collect(master, slave), stop: func() { master.Close(); slave.Close() }}
	},
	"device": func(t *testing.T, path string) node {
		// One of our own that is like /dev/null: that of the machine is in use.
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
			t.Skip("can't make a device: ", err)
		}
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err != nil {
			t.Skip("can't use a device here: ", err)
		} else {
			f.Close()
		}
		return node{path: path}
	},
	"socket": func(t *testing.T, path string) node {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
		}
		if err != nil {
			t.Fatal(err)
		}
		return node{path: path, stop: func() { unix.Close(fd) }}
	},
	"folder": func(t *testing.T, path string) node {
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		return node{path: path}
	},
}

// collect reads what comes, and returns what came before a last line of its own, which it
// writes to the same.
func collect(from, to *os.File) func() string {
	const last = "--- that was all ---"
	came := make(chan string, 1)
	go func() {
		var all []byte
		for b := make([]byte, 1<<16); !bytes.Contains(all, []byte(last)); {
			n, err := from.Read(b)
			if err != nil {
				return
			}
			all = append(all, b[:n]...)
		}
		text, _, _ := strings.Cut(string(all), last)
		came <- text
	}()
	return func() string {
		if _, err := to.WriteString(last + "\n"); err != nil {
			return err.Error()
		}
		return <-came
	}
}

// writing is a folder with a recording and specs that commands write about.
func writing(t *testing.T) string {
	t.Helper()
	python := tracedPython(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"spec.yaml":   writtenSpec,
		"golden.yaml": writtenSpec + "golden:\n  - at: hang\n    file: written.pyrr.zip\n",
		"sleeps.py":   "import time\ndef nap(): time.sleep(20)\nnap()\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	status, out := commandIn(t, dir, 0, nil, "record", "-o", "r.pyrr.zip", "--timeout", setup.Timeout("3s"), "--", python, "-I", "-S", "sleeps.py")
	if status != 124 {
		t.Fatalf("record: status %d\n%s", status, out)
	}
	return dir
}

// commandIn runs pyrr in a folder, as another user where that is not 0.
func commandIn(t *testing.T, dir string, uid uint32, env []string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "pyrr" // see TestMain
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if uid != 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}
	timer := time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() })
	out, _ := cmd.CombinedOutput()
	if !timer.Stop() {
		t.Errorf("pyrr %s does not end", strings.Join(args, " "))
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// fill is a row's command about a file.
func fill(command, env, file string) (args, vars []string) {
	for _, a := range strings.Fields(command) {
		switch a {
		case "FILE":
			a = file
		case "BREAK":
			a = "break sleeps.py:2"
		case "SAVE":
			a = "save breakpoints " + file
		}
		args = append(args, a)
	}
	if env != "" {
		vars = strings.Fields(strings.Replace(env, "FILE", file, 1))
	}
	return args, vars
}

// What a user names that is not a regular file stays what it is, whichever command
// writes: the text goes into it, or the command says why not. Links stay links.
func TestOutputGoesInto(t *testing.T) {
	t.Setenv("CI", "") // where CI is set no goldens are written
	dir := writing(t)
	const file = "written.pyrr.zip" // a name that every command takes
	at := filepath.Join(dir, file)
	for _, w := range writes {
		for kind, make := range nodes {
			for _, linked := range []bool{false, true} {
				name := w.name + "/" + kind
				if linked {
					name += " by a link"
				}
				t.Run(name, func(t *testing.T) {
					place := at
					if linked {
						place += ".real"
						if err := os.Symlink(filepath.Base(place), at); err != nil {
							t.Fatal(err)
						}
						defer os.Remove(at)
					}
					defer os.Remove(place)
					n := make(t, place)
					if n.stop != nil {
						defer n.stop()
					}
					before, links := identity(t, n.path), identity(t, at)
					args, env := fill(w.command, w.env, file)
					status, out := commandIn(t, dir, 0, env, args...)
					if identity(t, n.path) != before || identity(t, at) != links {
						t.Fatalf("it was replaced: %s", out)
					}
					got := ""
					if n.got != nil {
						got = n.got()
					}
					switch refused := w.says == "" || kind == "folder" || kind == "socket"; {
					case refused && (status == 0 && !w.goesOn || !strings.Contains(out, file) || got != ""):
						t.Errorf("status %d, it writes %q and says %s", status, got, out)
					case !refused && (status != 0 || n.got != nil && !strings.Contains(got, w.says)):
						t.Errorf("status %d, and the file gets %.300q, without %q\n%s", status, got, w.says, out)
					}
				})
			}
		}
	}
}

// identity tells what a name stands for from all else.
func identity(t *testing.T, path string) [3]uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	return [3]uint64{st.Dev, st.Ino, uint64(st.Mode)}
}

// A link to a regular file stays one, and who may not write to a file may not
// replace it either, although its folder lets him.
func TestOutputToRegularFiles(t *testing.T) {
	dir := writing(t)
	const file, nobody = "written.pyrr.zip", 65534
	at := filepath.Join(dir, file)
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		os.Chmod(d, 0o777)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		os.Chmod(filepath.Join(dir, e.Name()), 0o666)
	}
	for _, w := range writes {
		t.Run(w.name, func(t *testing.T) {
			args, env := fill(w.command, w.env, file)
			env = append(env, "HOME="+dir)
			if err := os.WriteFile(at, []byte("old"), 0o444); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(at)
			uid := uint32(0)
			if os.Geteuid() == 0 {
				uid = nobody
			}
			before := identity(t, at)
			status, out := commandIn(t, dir, uid, env, args...)
			if text, err := os.ReadFile(at); err != nil || string(text) != "old" || identity(t, at) != before {
				t.Errorf("a file that is read-only became %.100q (%v)\n%s", text, err, out)
			}
			if status == 0 && !w.goesOn {
				t.Errorf("status 0\n%s", out)
			}
			if w.says == "" {
				return
			}
			if err := os.Rename(at, at+".real"); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(at + ".real")
			os.Chmod(at+".real", 0o640)
			if err := os.Symlink(file+".real", at); err != nil {
				t.Fatal(err)
			}
			_, out = commandIn(t, dir, 0, env, args...)
			st, err := os.Lstat(at)
			if err != nil || st.Mode()&fs.ModeSymlink == 0 {
				t.Errorf("the link was replaced")
			}
			text, _ := os.ReadFile(at + ".real")
			if st, err := os.Stat(at + ".real"); err != nil || st.Mode().Perm() != 0o640 || !strings.Contains(string(text), w.says) {
				t.Errorf("the file has %.100q, mode %v\n%s", text, st.Mode(), out)
			}
		})
	}
}
