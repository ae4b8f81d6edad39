package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// TestElsewhere records where tests run in a container: the root is read-only and knows
// no pyrr, which comes by a mount, the user is a different one, and recordings go out by a
// volume. Inside and outside they say the same.
func TestElsewhere(t *testing.T) {
	if m := probe.Machine(); !m.CanRecord() || !m.CanReplay() {
		t.Skip("this machine can't record")
	}
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "pyrr")
	build := exec.Command("go", "build", "-trimpath", "-o", bin, "./cmd/pyrr")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	volume := filepath.Join(dir, "recordings")
	if err := os.Mkdir(volume, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(volume, 0o777); err != nil {
		t.Fatal(err)
	}
	in, root := inRoot(t, "trixie")
	// Whoever waits in the namespace of the root mounts there, as a container's
	// runtime would: the binary, the volume, /tmp, and then nothing is writable.
	outside := in[:len(in)-2]
	mount := append(append([]string{}, outside...), "sh", "-ec", `
mkdir -p "$1/usr/local/bin" "$1/recordings"
touch "$1/usr/local/bin/pyrr"
mount --bind "$2" "$1/usr/local/bin/pyrr"
mount -o remount,bind,ro "$1/usr/local/bin/pyrr"
mount --bind "$3" "$1/recordings"
mount -t tmpfs tmpfs "$1/tmp"
chmod 1777 "$1/tmp"
mount -o remount,ro "$1"`, "sh", root, bin, volume)
	run(t, nil, mount[0], mount[1:]...)
	inside := func(args ...string) (string, int) {
		t.Helper()
		words := append(append(append([]string{}, outside...), "chroot", "--userspec=1234:1234", root, "env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "LANG=C.UTF-8"), args...)
		cmd := exec.Command(words[0], words[1:]...)
		out, err := cmd.CombinedOutput()
		if err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, status := inside("sh", "-c", "touch /etc/x || touch /usr/local/bin/x"); status == 0 {
		t.Fatalf("the root can be written to\n%s", out)
	}
	const program = "import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()\n"
	out, status := inside("pyrr", "record", "--keep", "failure", "--timeout", setup.Timeout("3s"), "-o", "/recordings", "--", "python3", "-c", program)
	if status != 124 || !strings.Contains(out, "verified") || strings.Contains(out, "not verified") {
		t.Fatalf("status %d\n%s", status, out)
	}
	zips, _ := filepath.Glob(filepath.Join(volume, "*.pyrr.zip"))
	if len(zips) != 1 {
		t.Fatalf("in the volume: %v\n%s", zips, out)
	}
	there, _ := inside("pyrr", "explain", "/recordings/"+filepath.Base(zips[0]))
	here := run(t, nil, bin, "explain", zips[0])
	if there != here || !strings.Contains(here, "waits for lock l (<string>:4)") {
		t.Errorf("inside:\n%s\noutside:\n%s", there, here)
	}
	if out := run(t, nil, bin, "replay", "--batch", zips[0]); out != "" {
		t.Errorf("its replay says %q", out)
	}
}
