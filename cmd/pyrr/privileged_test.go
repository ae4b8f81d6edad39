//go:build linux && amd64

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pyrr/internal/probe"
)

// TestPrivilegedProgram records, as an ordinary user, a Python that starts a
// set-uid program. Under a tracer the kernel would keep its privileges from it.
func TestPrivilegedProgram(t *testing.T) {
	probe.Require(t)
	const python = "/usr/bin/python3"
	if os.Geteuid() != 0 {
		t.Skip("only root can make a set-uid program")
	}
	// A folder that others may read, with a pyrr that they may run.
	dir, err := os.MkdirTemp("", "pyrr-privileged")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const nobody = 65534
	for _, f := range []struct {
		from, to string
		mode     os.FileMode
	}{{"/proc/self/exe", "pyrr", 0o755}, {"/usr/bin/id", "id", 0o755 | os.ModeSetuid}} {
		b, err := os.ReadFile(f.from)
		if err != nil {
			t.Skip(err)
		}
		to := filepath.Join(dir, f.to)
		if err := os.WriteFile(to, b, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(to, f.mode); err != nil {
			t.Fatal(err)
		}
	}
	home := filepath.Join(dir, "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, string, error) {
		cmd := exec.Command(filepath.Join(dir, args[0]), args[1:]...)
		if filepath.IsAbs(args[0]) {
			cmd = exec.Command(args[0], args[1:]...)
		}
		cmd.Dir = home
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		return out.String(), errs.String(), err
	}
	const program = `import subprocess
for command in (["../id", "-u", "-r"], ["../id", "-u"], ["sh", "-c", "../id -u"]):
    print(subprocess.run(command, capture_output=True, text=True).stdout.strip())`
	want, errs, err := run(python, "-c", program)
	if err != nil || want != "65534\n0\n0\n" {
		t.Skipf("no set-uid programs here: %q, %s%v", want, errs, err)
	}
	got, errs, err := run("pyrr", "record", "-o", "x.pyrr.zip", "--", python, "-c", program)
	if err != nil || got != want || !strings.Contains(errs, "(id) has privileges of its own") || !strings.Contains(errs, "1 process") {
		t.Errorf("recorded, it prints %q and says %s%v; natively %q", got, errs, err, want)
	}
	got, errs, err = run("pyrr", "replay", "--batch", "x.pyrr.zip")
	if err != nil || got != want {
		t.Errorf("replayed, it prints %q and says %s%v", got, errs, err)
	}
}
