package release

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

const version = "9.8.7rc1"

// run executes a command and returns what it printed.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("PYRR_NO_SKIP") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// build makes the packages in a new folder.
func build(t *testing.T, env ...string) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getenv("PYRR_E2E") != "full" {
		env = append(env, "PYRR_PACK_FAST=1") // the most of the time is compressing
	}
	run(t, env, "../../scripts/packages/build.sh", version, dir)
	return dir
}

func TestPackages(t *testing.T) {
	need(t, "dpkg-deb", "dpkg", "python3", "sha256sum")
	reads := "linux/arm64" // one of them is enough, except for PYRR_E2E
	if os.Getenv("PYRR_E2E") == "full" {
		reads = "linux/arm64 darwin/arm64 darwin/amd64 windows/amd64"
	}
	dir := build(t, "PYRR_READERS="+reads)
	sums := run(t, nil, "sh", "-c", "cd "+dir+" && sha256sum --check SHA256SUMS")
	if n := strings.Count(sums, ": OK"); n != 3+len(strings.Fields(reads)) {
		t.Errorf("%d files have checksums:\n%s", n, sums)
	}
	t.Run("archive", func(t *testing.T) {
		t.Parallel()
		into := t.TempDir()
		run(t, nil, "tar", "-xzf", filepath.Join(dir, "pyrr-"+version+"-linux-amd64.tar.gz"), "-C", into)
		works(t, filepath.Join(into, "pyrr"))
		records(t, nil, filepath.Join(into, "pyrr"), "/usr/bin/env", "python3")
		for _, name := range []string{"README.md", "LICENSE", "docs/format.md", "completions/pyrr.bash"} {
			if _, err := os.Stat(filepath.Join(into, name)); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("deb", func(t *testing.T) { t.Parallel(); installDeb(t, filepath.Join(dir, "pyrr_9.8.7~rc1_amd64.deb")) })
	t.Run("wheel", func(t *testing.T) { t.Parallel(); installWheel(t, dir) })
	for platform := range strings.FieldsSeq(reads) {
		t.Run("reader/"+platform, func(t *testing.T) { t.Parallel(); unpackReader(t, dir, platform) })
	}
	t.Run("image", func(t *testing.T) { t.Parallel(); runImage(t, dir) })
	for _, suite := range []string{"trixie", "bullseye"} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			installInRoot(t, suite, filepath.Join(dir, "pyrr_9.8.7~rc1_amd64.deb"))
		})
	}
	if os.Getenv("PYRR_E2E") == "full" {
		t.Run("again", func(t *testing.T) {
			other := build(t, "TZ=Asia/Tokyo", "LANG=C.UTF-8")
			for _, name := range []string{"SHA256SUMS"} {
				a, _ := os.ReadFile(filepath.Join(dir, name))
				b, _ := os.ReadFile(filepath.Join(other, name))
				if diff := cmp.Diff(string(a), string(b)); diff != "" {
					t.Errorf("the same source gives other bytes (-first +second):\n%s", diff)
				}
			}
		})
	}
}

// works runs an installed pyrr.
func works(t *testing.T, bin string) {
	t.Helper()
	if out := run(t, nil, bin, "version"); !strings.HasPrefix(out, "pyrr v"+version+" ") {
		t.Errorf("it says %q", out)
	}
	cmd := exec.Command("sh", "-c", `ulimit -v 600000; exec "$0" version`, bin)
	out, _ := cmd.CombinedOutput()
	if status := cmd.ProcessState.ExitCode(); status != 4 || !strings.HasPrefix(string(out), "pyrr: error: ulimit -v is too low") || bytes.Count(out, []byte("\n")) != 1 {
		t.Errorf("under a low limit of address space: status %d, and %q", status, out)
	}
}

// records records a program that waits for ever, with an installed pyrr, and asks for
// the reason. in is what goes in front of each command.
func records(t *testing.T, in []string, bin string, python ...string) {
	t.Helper()
	if m := probe.Machine(); !m.CanRecord() || !m.CanReplay() {
		t.Skip("this machine can't record")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "hang.pyrr.zip")
	if in != nil {
		file = "/tmp/hang.pyrr.zip"
	}
	program := "import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()\n"
	command := func(args ...string) (string, int) {
		t.Helper()
		words := append(append([]string{}, in...), args...)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CI=")
		out, err := cmd.CombinedOutput()
		if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	out, status := command(append([]string{bin, "record", "--timeout", setup.Timeout("3s"), "-o", file, "--"}, append(python, "-c", program)...)...)
	if status != 124 || !strings.Contains(out, "verified") || strings.Contains(out, "not verified") {
		t.Fatalf("recorded: status %d\n%s", status, out)
	}
	if out, status := command(bin, "explain", file); status != 0 || !strings.Contains(out, "MainThread waits for lock l (<string>:4)") {
		t.Errorf("explained: status %d\n%s", status, out)
	}
	if out, status := command(bin, "replay", "--batch", file); status != 0 {
		t.Errorf("replayed: status %d\n%s", status, out)
	}
}

// installDeb installs the package into a root that holds nothing but dpkg's
// own records, runs it there, and removes it.
func installDeb(t *testing.T, deb string) {
	root := t.TempDir()
	admin := filepath.Join(root, "var/lib/dpkg")
	for _, d := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(filepath.Join(admin, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"status", "available"} {
		if err := os.WriteFile(filepath.Join(admin, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flags := []string{"--root=" + root, "--log=/dev/null", "--force-not-root"}
	run(t, nil, "dpkg", append(flags, "--install", deb)...)
	works(t, filepath.Join(root, "usr/bin/pyrr"))
	if os.Geteuid() == 0 {
		// Static: it needs nothing else of the root.
		if out := run(t, nil, "chroot", root, "/usr/bin/pyrr", "help"); !strings.Contains(out, "COMMANDS") {
			t.Errorf("in the root the program prints %q", out)
		}
	}
	run(t, nil, "dpkg", append(flags, "--verify", "pyrr")...)
	files := run(t, nil, "dpkg-query", "--admindir="+admin, "-L", "pyrr")
	for _, want := range []string{"/usr/bin/pyrr", "/usr/share/bash-completion/completions/pyrr", "/usr/share/doc/pyrr/copyright"} {
		if !strings.Contains(files, want+"\n") {
			t.Errorf("the package has no %s:\n%s", want, files)
		}
	}
	owners := run(t, nil, "dpkg-deb", "--contents", deb)
	for line := range strings.Lines(owners) {
		if !strings.Contains(line, " root/root ") || strings.HasPrefix(line, "-rwxrwx") {
			t.Errorf("owner or mode: %s", line)
		}
	}
	run(t, nil, "dpkg", append(flags, "--purge", "pyrr")...)
	if _, err := os.Stat(filepath.Join(root, "usr/bin/pyrr")); err == nil {
		t.Error("it is there after it was removed")
	}
}

// installWheel installs the wheel with pip into a new virtual environment,
// without any index.
func installWheel(t *testing.T, dir string) {
	wheels, _ := filepath.Glob(filepath.Join(dir, "pyrr_replay-"+version+"-*x86_64.whl"))
	wheels = slices.DeleteFunc(wheels, func(name string) bool { return strings.Contains(name, "macosx") })
	if len(wheels) != 1 {
		t.Fatalf("wheels: %v", wheels)
	}
	venv := filepath.Join(t.TempDir(), "venv")
	if out, err := exec.Command("python3", "-m", "venv", venv).CombinedOutput(); err != nil {
		if os.Getenv("PYRR_NO_SKIP") == "" && bytes.Contains(out, []byte("ensurepip")) {
			t.Skip("this Python makes no virtual environments")
		}
		t.Fatalf("%v\n%s", err, out)
	}
	pip := filepath.Join(venv, "bin/pip")
	run(t, nil, pip, "install", "--quiet", "--no-index", "--disable-pip-version-check", wheels[0])
	works(t, filepath.Join(venv, "bin/pyrr"))
	records(t, nil, filepath.Join(venv, "bin/pyrr"), filepath.Join(venv, "bin/python"))
	checked := run(t, nil, filepath.Join(venv, "bin/python"), "-c", "import pyrr_replay, sys; print(pyrr_replay.__all__)")
	if !strings.Contains(checked, "region") {
		t.Errorf("pyrr_replay has %s", checked)
	}
	run(t, nil, pip, "check", "--disable-pip-version-check")
	if out := run(t, nil, pip, "show", "--disable-pip-version-check", "pyrr-replay"); !strings.Contains(out, "Version: "+version) {
		t.Errorf("pip says:\n%s", out)
	}
	run(t, nil, pip, "uninstall", "--yes", "--quiet", "--disable-pip-version-check", "pyrr-replay")
	if _, err := os.Stat(filepath.Join(venv, "bin/pyrr")); err == nil {
		t.Error("it is there after it was removed")
	}
}

// unpackReader lets pip choose the wheel for another platform, as it would there, and
// looks at the program in it.
func unpackReader(t *testing.T, dir, platform string) {
	of := map[string]struct{ pip, program, magic string }{
		"linux/arm64":   {"manylinux2014_aarch64", "pyrr", "\x7fELF"},
		"darwin/arm64":  {"macosx_12_0_arm64", "pyrr", "\xcf\xfa\xed\xfe"},
		"darwin/amd64":  {"macosx_12_0_x86_64", "pyrr", "\xcf\xfa\xed\xfe"},
		"windows/amd64": {"win_amd64", "pyrr.exe", "MZ"},
	}[platform]
	into := t.TempDir()
	out, err := exec.Command("python3", "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", "--find-links", dir, "--pre",
		"--platform", of.pip, "--only-binary", ":all:", "--target", into, "pyrr-replay").CombinedOutput()
	if bytes.Contains(out, []byte("No module named pip")) {
		t.Skip("this Python has no pip")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(into, "bin", of.program))
	if err != nil || !strings.HasPrefix(string(program), of.magic) {
		t.Fatalf("the program begins with %q, not %q: %v", program[:min(len(program), 4)], of.magic, err)
	}
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	var built []string
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" {
			built = append(built, s.Value)
		}
	}
	slices.Sort(built)
	want := strings.Split(platform, "/")
	slices.Sort(want)
	if diff := cmp.Diff(want, built); diff != "" {
		t.Errorf("it was built for another platform (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(filepath.Join(into, "pyrr_replay/pytest_plugin.py")); err != nil {
		t.Error(err)
	}
}
