package release

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pyrr/internal/setup"
)

// inRoot returns what goes in front of a command that is to run in a copy of one of
// scripts/interpreters.sh's roots, which is thrown away with the test: what is written
// goes to memory, in a mount namespace of its own that a waiting shell keeps.
func inRoot(t *testing.T, suite string) (in []string, root string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	lower, err := filepath.EvalSymlinks(setup.Path("roots/" + suite))
	if err != nil {
		t.Skipf("no root of %s: scripts/interpreters.sh %s", suite, suite)
	}
	root = filepath.Join(t.TempDir(), "m")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	keep := exec.Command("unshare", "-m", "--propagation", "private", "sh", "-ec", `
mount -t tmpfs tmpfs "$2"
mkdir "$2/up" "$2/work" "$2/root"
mount -t overlay overlay -o lowerdir="$1",upperdir="$2/up",workdir="$2/work" "$2/root"
mount --rbind /proc "$2/root/proc"
mount --rbind /dev "$2/root/dev"
echo ready
read -r end`, "sh", lower, root)
	stdin, err := keep.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := keep.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var problem bytes.Buffer
	keep.Stderr = &problem
	if err := keep.Start(); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = keep.Wait() // its namespace, with all mounts, goes with it
	})
	ready := make([]byte, 6)
	if _, err := stdout.Read(ready); err != nil {
		t.Skipf("no overlay here: %s", problem.String())
	}
	// unshare has become the shell, so its id names the namespace.
	root = filepath.Join(root, "root")
	return []string{"nsenter", "-m", "-t", strconv.Itoa(keep.Process.Pid), "--", "chroot", root}, root
}

// into copies a file into a root.
func into(t *testing.T, in []string, file, name string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	words := append(append([]string{}, in...), "sh", "-c", `cat >"$1" && chmod 755 "$1"`, "sh", name)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Stdin = bytes.NewReader(b)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("copy %s: %v\n%s", file, err, out)
	}
}

// installInRoot installs the Debian package where no pyrr ever was, by that system's
// own dpkg, and records with that system's Python.
func installInRoot(t *testing.T, suite, deb string) {
	in, _ := inRoot(t, suite)
	into(t, in, deb, "/tmp/pyrr.deb")
	dpkg := func(args ...string) string {
		t.Helper()
		words := append(append([]string{}, in...), args...)
		return run(t, nil, words[0], words[1:]...)
	}
	dpkg("dpkg", "--install", "/tmp/pyrr.deb")
	if out := dpkg("pyrr", "version"); !strings.HasPrefix(out, "pyrr v"+version+" ") {
		t.Errorf("it says %q", out)
	}
	records(t, in, "pyrr", "python3")
	dpkg("dpkg", "--purge", "pyrr")
}

// runImage does what packaging/Dockerfile says, as far as its few instructions go, and
// runs what comes out: in an empty root, as the user that it names.
func runImage(t *testing.T, dist string) {
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	text, err := os.ReadFile("../../packaging/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	vars := strings.NewReplacer("${VERSION}", version, "${BASE}", "scratch")
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	var user, entry, workdir string
	var command []string
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		words := strings.Fields(vars.Replace(line))
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch words[0] {
		case "FROM":
			if words[1] != "scratch" {
				t.Fatalf("it begins from %s", words[1])
			}
		case "ARG", "LABEL", "ENV":
		case "ADD":
			to := filepath.Join(root, words[2])
			if err := os.MkdirAll(to, 0o755); err != nil {
				t.Fatal(err)
			}
			run(t, nil, "tar", "-xzf", filepath.Join(dist, words[1]), "-C", to, "--no-same-owner")
		case "WORKDIR":
			workdir = words[1]
			if err := os.MkdirAll(filepath.Join(root, workdir), 0o777); err != nil {
				t.Fatal(err)
			}
		case "USER":
			user = words[1]
		case "ENTRYPOINT":
			entry = strings.Trim(words[1], `[]",`)
		case "CMD":
			command = []string{strings.Trim(words[1], `[]",`)}
		default:
			t.Fatalf("the test does not know %s", words[0])
		}
	}
	if user == "" || entry == "" || workdir == "" {
		t.Fatalf("user %q, entry point %q, folder %q", user, entry, workdir)
	}
	chroot := func(args ...string) string {
		t.Helper()
		return run(t, nil, "chroot", append([]string{"--userspec=" + user, root, entry}, args...)...)
	}
	if out := chroot(command...); !strings.Contains(out, "COMMANDS") {
		t.Errorf("it prints %q", out)
	}
	if out := chroot("version"); !strings.HasPrefix(out, "pyrr v"+version+" ") {
		t.Errorf("it says %q", out)
	}
	// What COPY --from takes out of it records elsewhere.
	records(t, nil, filepath.Join(root, entry), "/usr/bin/env", "python3")
}
