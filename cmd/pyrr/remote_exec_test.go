//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// remotePrograms run until they are told to end: a script is run at their next jump back, after
// a call, while they compute, and where other threads want the GIL.
var remotePrograms = []struct{ name, code string }{
	{"sleeps", "while not over.wait(.02): pass"},
	{"computes", "n = 0\nwhile not over.is_set(): n += 1"},
	{"among threads", `
def work():
    n = 0
    while not over.is_set(): n += 1
threads = [threading.Thread(target=work) for _ in range(3)]
[t.start() for t in threads]
while not over.wait(.001): pass
[t.join() for t in threads]
`},
}

// TestRemoteExec has a process that is not recorded leave a script for one that is
// (sys.remote_exec): the script runs, and the recording ends with a line and is exact.
func TestRemoteExec(t *testing.T) {
	list, err := exec.Command("../../scripts/interpreters.sh", "list").Output()
	if err != nil {
		t.Fatalf("list the interpreters: %v", err)
	}
	found := false
	for l := range strings.Lines(string(list)) {
		f := strings.Fields(l)
		if len(f) < 3 || f[1] < "3.14" || strings.HasPrefix(f[1], "3.8.") || strings.HasPrefix(f[1], "3.9.") {
			continue
		}
		found = true
		for _, p := range remotePrograms {
			t.Run(f[0]+" "+p.name, func(t *testing.T) { remoteExec(t, f[2:], p.code) })
		}
	}
	if !found {
		t.Skip("no Python with sys.remote_exec: scripts/interpreters.sh pbs314")
	}
}

func remoteExec(t *testing.T, python []string, code string) {
	tracedPython(t)
	dir, root := t.TempDir(), "/"
	if python[0] == "chroot" {
		root = python[1]
	}
	script, err := os.CreateTemp(filepath.Join(root, "var/tmp"), "remote-*.py")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(script.Name())
	fmt.Fprintln(script, `print("remote", flush=True)`)
	if err := script.Close(); err != nil {
		t.Fatal(err)
	}
	inside, err := filepath.Rel(root, script.Name())
	if err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(dir, "x.pyrr.zip")
	args := append([]string{"record", "-o", rec, "--"}, append(python, "-c", attachHead+"print(os.getpid(), flush=True)\n"+code+"\n"+attachTail)...)
	p := liveBy(t, pyrrCommand(args...))
	pid := p.line()
	write := append(python, "-c", fmt.Sprintf("import sys; sys.remote_exec(%s, %q)", pid, "/"+inside))
	if b, err := exec.Command(write[0], write[1:]...).CombinedOutput(); err != nil {
		t.Errorf("sys.remote_exec on %s: %v\n%s", pid, err, b)
	}
	if line := p.line(); line != "remote" {
		t.Errorf("the program printed %q", line)
	}
	p.ends(t)
	said := &p.stderr
	for _, want := range []string{"wrote to its memory (sys.remote_exec, pdb -p)", "incomplete, verified"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the output does not have %q:\n%s", want, said.String())
		}
	}
}

// line is the next line that the program prints.
func (p *living) line() string {
	p.lines.Scan()
	return p.lines.Text()
}
