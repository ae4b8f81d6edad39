package action

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

func TestMain(m *testing.M) {
	setup.HeedSignals() // jobs are cancelled by SIGINT
	os.Exit(m.Run())
}

// python returns an interpreter, or skips.
func python(t *testing.T) string {
	t.Helper()
	m := probe.Machine()
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil || !m.CanRecord() || !m.CanReplay() {
		if os.Getenv("PYRR_NO_SKIP") != "" {
			t.Fatal("this machine can't record, or has no Python")
		}
		t.Skip("this machine can't record, or has no Python")
	}
	return strings.TrimSpace(string(out))
}

// hang waits for data that never comes, and ends at once when it is interrupted.
const hang = `import os, socket, threading
a, b = socket.socketpair()
def read():
    return b.recv(100)
print("token", os.environ.get("API_TOKEN"), os.environ.get("PYRR_SECRETS"), flush=True)
t = threading.Thread(target=read, name="reader", daemon=True)
t.start()
t.join()
`

// TestHang is what the action is for: a command that hangs.
func TestHang(t *testing.T) {
	py := python(t)
	r := newRunner(t, map[string]string{"run": py + " tests/hang.py", "timeout": "4s", "version": "source", "secrets": "::add-mask::masked-value-1\n", "comment": "true", "rerun": "1"})
	r.pull.Pull = 12
	r.env = append(r.env, "API_TOKEN=tok-0123456789")
	r.write("tests/hang.py", hang)
	if r.run() {
		t.Errorf("the action succeeded\n%s", r.log.String())
	}
	log := r.log.String()
	if !r.setupGo {
		t.Error("version: source does not set up Go")
	}
	if got, again := r.output("result"), r.output("rerun"); got != "timeout" || again != "failed" {
		t.Errorf("result %q, run again %q\n%s", got, again, log)
	}
	zips, _ := filepath.Glob(r.uploaded)
	if len(zips) != 2 || r.output("recordings") != filepath.Dir(zips[0]) || r.artifact != "pyrr-recordings-test-os-ubuntu-22-python-3.12-1" {
		t.Fatalf("uploaded %q: %v, recordings %q\n%s", r.uploaded, zips, r.output("recordings"), log)
	}
	for _, want := range []string{
		"::error file=tests/hang.py,line=8,title=pyrr%3A hung::Deadlock: MainThread joins reader (tests/hang.py:8), which waits for data from",
		"pyrr: run 1 of 1, --chaos=1",
		"token tok-0123456789 None", // the program's output is its own, and the masks are not in its environment
		"replaced 1 known secret in",
		"(exit status 124)",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %q:\n%s", want, log)
		}
	}
	b, err := os.ReadFile(r.summary)
	if err != nil {
		t.Fatal(err)
	}
	summary := string(b)
	for _, want := range []string{"## ⏱️ pyrr: the command hung", "thread 2 reader waits for data from a socket", "return b.recv(100)", "It failed again in run 1 of 1, with --chaos=1.",
		"- **Seen:** 2 times in this run", "gh run download 99 --repo owner/shop --name pyrr-recordings-test-os-ubuntu-22-python-3.12-1\npyrr open ",
		"[`tests/hang.py:8`](https://github.example/owner/shop/blob/abc123/tests/hang.py#L8)", "(https://github.example/artifacts/7)", "<details><summary>Stacks</summary>"} {
		if !strings.Contains(summary, want) {
			t.Errorf("the summary has no %q:\n%s", want, summary)
		}
	}
	if c := r.pull.Comments; len(c) != 1 || !strings.Contains(c[0].Body, "Deadlock: MainThread joins reader") {
		t.Errorf("comments: %+v", c)
	}
	var reasons []struct {
		Outcome, Sentence, File, Recording, Fingerprint string
		Line, Seen                                      int
	}
	if err := json.Unmarshal([]byte(r.output("reasons")), &reasons); err != nil || len(reasons) != 2 || reasons[0].File != "tests/hang.py" || reasons[0].Line != 8 || reasons[0].Seen != 2 || reasons[0].Outcome != "timeout" {
		t.Errorf("reasons %v: %s", err, r.output("reasons"))
	}
	if strings.Contains(summary, "tok-0123456789") {
		t.Error("the summary holds a secret")
	}
	masks, _ := filepath.Glob(filepath.Join(r.temp, "pyrr-masks*"))
	if len(masks) != 0 {
		t.Errorf("%v are left behind", masks)
	}
	if strings.ContainsAny(filepath.Base(zips[0]), `":<>|*?\/`) {
		t.Errorf("%s is no name for an artifact", zips[0])
	}
}

// TestCancelled cancels a job in the middle of a test that hangs, as GitHub's
// runner does: by SIGINT to the step's shell alone.
func TestCancelled(t *testing.T) {
	py := python(t)
	if exec.Command(py, "-c", "import pytest").Run() != nil {
		out, err := exec.Command("../../scripts/venv.sh", "pytest").Output()
		if err != nil {
			t.Fatalf("the virtual environment of pytest: %v", err)
		}
		py = filepath.Join(strings.TrimSpace(string(out)), "bin/python")
	}
	r := newRunner(t, map[string]string{"run": py + " -m pytest -q -p no:cacheprovider test_hang.py", "keep": "timeout", "version": "source"})
	r.write("test_hang.py", "import socket\n\ndef test_hang():\n    a, b = socket.socketpair()\n    open('begun', 'w').close()\n    a.recv(1)\n")
	r.cancel = func(p *os.Process) {
		for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if _, err := os.Stat(filepath.Join(r.workspace, "begun")); err == nil {
				break
			}
		}
		p.Signal(os.Interrupt)
	}
	r.run()
	log := r.log.String()
	zips, _ := filepath.Glob(r.uploaded)
	if len(zips) != 1 || !strings.Contains(filepath.Base(zips[0]), "test_hang.test_hang-") || !strings.Contains(log, "cancelled: test_hang.py::test_hang") {
		t.Errorf("uploaded %q: %v\n%s", r.uploaded, zips, log)
	}
	if r.output("result") != "failed" || strings.Contains(log, "--- Check") {
		t.Errorf("result %q\n%s", r.output("result"), log)
	}
}

// TestPassAndSpecs: a passing command is checked against specs.
func TestPassAndSpecs(t *testing.T) {
	py := python(t)
	inputs := map[string]string{"run": "cd tests && " + py + " ok.py", "keep": "always", "version": "source", "working-directory": "sub", "secret-names": "A, B"}
	r := newRunner(t, inputs)
	r.write("sub/tests/ok.py", "import os\nos.getpid()\n")
	r.write("sub/specs/ok.yaml", fmt.Sprintf("version: 1\nname: it ends\nrecording: %s/pyrr-recordings/*.pyrr.zip\nexpect:\n  - getpid\n  - connect\n", r.temp))
	if r.run() {
		t.Errorf("the action succeeded, and a check did not hold\n%s", r.log.String())
	}
	if got := r.output("result") + r.output("rerun"); got != "passed" { // it was not run again
		t.Errorf("result %q\n%s", got, r.log.String())
	}
	if got := r.output("failed-count"); got != "1" {
		t.Errorf("failed-count %q\n%s", got, r.log.String())
	}
	if _, err := os.Stat(r.output("junit")); err != nil {
		t.Error(err)
	}
	if log := r.log.String(); !strings.Contains(log, "::error file=") {
		t.Errorf("no annotation:\n%s", log)
	}
	b, _ := os.ReadFile(r.summary)
	if !strings.Contains(string(b), "**1 checks of the specs failed**") {
		t.Errorf("summary:\n%s", b)
	}
}

// TestStatus: the command's status is the action's, and nothing is kept or
// uploaded of what passed.
func TestStatus(t *testing.T) {
	py := python(t)
	r := newRunner(t, map[string]string{"run": py + " -c 'raise SystemExit(3)'", "keep": "timeout", "version": "source"})
	if r.run() {
		t.Error("the action succeeded")
	}
	if got := r.output("result"); got != "failed" || r.uploaded != "" || !strings.Contains(r.log.String(), "(exit status 3)") {
		t.Errorf("result %q, uploaded %q\n%s", got, r.uploaded, r.log.String())
	}
	r = newRunner(t, map[string]string{"run": py + " -c ''", "version": "source"})
	if !r.run() || r.output("result") != "passed" || r.uploaded != "" {
		t.Errorf("result %q, uploaded %q\n%s", r.output("result"), r.uploaded, r.log.String())
	}
}

// TestRelease installs a release from a server: verified, cached, and refused
// where it is not what it should be.
func TestRelease(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("releases are for amd64")
	}
	r := newRunner(t, map[string]string{"run": "true", "version": "v9.8.7"})
	server := filepath.Join(filepath.Dir(r.temp), "server")
	r.env = append(r.env, "GITHUB_SERVER_URL=file://"+server)
	dir := filepath.Join(server, "owner/pyrr/releases/download/v9.8.7")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	stage := t.TempDir()
	if err := os.WriteFile(filepath.Join(stage, "pyrr"), []byte("#!/bin/sh\necho fake pyrr \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(dir, "pyrr-9.8.7-linux-amd64.tar.gz")
	if out, err := exec.Command("tar", "-C", stage, "-czf", archive, "pyrr").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	install := readAction(t).Runs.Steps[1]
	if install.Name != "Install pyrr" {
		t.Fatalf("step 1 is %s", install.Name)
	}
	try := func(wantOK bool, wantLog string) {
		t.Helper()
		r.log.Reset()
		if ok := r.step(1, &install); ok != wantOK || !strings.Contains(r.log.String(), wantLog) {
			t.Errorf("installed: %v, want %v and %q\n%s", ok, wantOK, wantLog, r.log.String())
		}
	}
	try(false, "::error title=pyrr::the checksums of release 9.8.7 can't be downloaded")
	sums := filepath.Join(dir, "SHA256SUMS")
	if err := os.WriteFile(sums, []byte(strings.Repeat("0", 64)+"  pyrr-9.8.7-linux-amd64.tar.gz\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	try(false, "is not what it should be")
	if err := os.WriteFile(sums, []byte(hex.EncodeToString(sum[:])+"  pyrr-9.8.7-linux-amd64.tar.gz\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	try(true, "fake pyrr version")
	// From here on pyrr is in the tool cache, which is compared with what was put there.
	if err := os.Remove(archive); err != nil {
		t.Fatal(err)
	}
	try(true, "fake pyrr version")
	cached, _ := filepath.Glob(filepath.Join(filepath.Dir(r.temp), "tools/pyrr/9.8.7/x64/pyrr"))
	if len(cached) != 1 {
		t.Fatalf("in the tool cache: %v", cached)
	}
	if err := os.WriteFile(cached[0], []byte("#!/bin/sh\necho changed\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	try(false, "can't be downloaded")
	r.inputs["version"] = "1.2.3; rm -rf /"
	try(false, "version: 1.2.3; rm -rf /")
}
