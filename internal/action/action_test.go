package action

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"pyrr/internal/probe"
)

// metadata is what the tests read of action.yml.
type metadata struct {
	Inputs map[string]struct {
		Default  string
		Required bool
	}
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Using string
		Steps []step
	}
}

type step struct {
	Name, ID, If, Uses, Shell, Run string
	WorkingDirectory               string `yaml:"working-directory"`
	Env, With                      map[string]string
}

func readAction(t *testing.T) metadata {
	t.Helper()
	b, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var m metadata
	if err := yaml.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// runner plays the part of GitHub's runner: it evaluates the expressions that
// action.yml uses and runs the steps with the files and variables that a step
// may expect.
type runner struct {
	t         *testing.T
	root      string // of the repository, the action's path
	temp      string
	workspace string
	inputs    map[string]string
	env       []string
	steps     map[string]map[string]string // outputs
	path      []string
	summary   string
	log       strings.Builder
	uploaded  string // the paths that upload-artifact was given
	artifact  string // and the name
	pull      pull
	setupGo   bool
	failed    bool
	// cancel is called while the step that records runs, and cancelled set
	// when that was told to end.
	cancel    func(*os.Process)
	cancelled bool
}

func newRunner(t *testing.T, inputs map[string]string) *runner {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := &runner{t: t, root: root, temp: filepath.Join(dir, "temp"), workspace: filepath.Join(dir, "work"), inputs: map[string]string{}, steps: map[string]map[string]string{}}
	for _, d := range []string{r.temp, r.workspace, filepath.Join(dir, "tools")} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	r.summary = filepath.Join(r.temp, "summary.md")
	r.env = []string{"HOME=" + os.Getenv("HOME"), "CI=true", "GITHUB_ACTIONS=true", "GITHUB_WORKSPACE=" + r.workspace,
		"RUNNER_TEMP=" + r.temp, "RUNNER_TOOL_CACHE=" + filepath.Join(dir, "tools"), "GITHUB_ACTION_PATH=" + root,
		"GITHUB_STEP_SUMMARY=" + r.summary, "GITHUB_REPOSITORY=owner/shop", "GITHUB_SHA=abc123", "GITHUB_RUN_ID=99", "GITHUB_SERVER_URL=https://github.example"}
	for name, in := range readAction(t).Inputs {
		r.inputs[name] = in.Default
	}
	for name, v := range inputs {
		if _, ok := r.inputs[name]; !ok {
			t.Fatalf("the action has no input %s", name)
		}
		r.inputs[name] = v
	}
	return r
}

var expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)

func (r *runner) expand(s string) string {
	return expression.ReplaceAllStringFunc(s, func(m string) string {
		return r.value(expression.FindStringSubmatch(m)[1])
	})
}

// value evaluates a plain reference.
func (r *runner) value(e string) string {
	parts := strings.Split(e, ".")
	switch {
	case strings.HasPrefix(e, "inputs."):
		v, ok := r.inputs[parts[1]]
		if !ok {
			r.t.Errorf("%s: the action has no such input", e)
		}
		return v
	case strings.HasPrefix(e, "steps.upload.outcome == 'success' && "):
		if r.uploaded == "" {
			return ""
		}
		return r.value(strings.Fields(e)[4])
	case strings.HasPrefix(e, "steps.") && len(parts) == 4 && parts[2] == "outputs":
		return r.steps[parts[1]][parts[3]]
	}
	switch e {
	case "github.action_path":
		return r.root
	case "github.action_ref":
		return "main"
	case "github.action_repository":
		return "owner/pyrr"
	case "github.job":
		return "test"
	case "toJSON(matrix)":
		return "{\n  \"os\": \"ubuntu/22\",\n  \"python\": 3.12\n}" // names of artifacts take neither / nor "
	case "strategy.job-index":
		return "0"
	case "github.run_attempt":
		return "1"
	}
	r.t.Errorf("the test does not know the expression %q", e)
	return ""
}

// condition evaluates what the steps' conditions are made of.
func (r *runner) condition(s string) bool {
	if s == "" {
		return !r.failed
	}
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "${{"), "}}")
	for _, alternative := range strings.Split(s, "||") {
		all := true
		for _, term := range strings.Split(alternative, "&&") {
			all = all && r.term(strings.TrimSpace(term))
		}
		if all {
			return true
		}
	}
	return false
}

var comparison = regexp.MustCompile(`^(\S+) (==|!=|>) ('[^']*'|\d+)$`)

func (r *runner) term(s string) bool {
	switch s {
	case "!cancelled()":
		return !r.cancelled
	case "always()":
		return true
	case "!startsWith(github.action_ref, 'v')":
		return true // it is main here
	}
	m := comparison.FindStringSubmatch(s)
	if m == nil {
		r.t.Errorf("the test does not know the condition %q", s)
		return false
	}
	got, want := r.value(m[1]), strings.Trim(m[3], "'")
	switch m[2] {
	case "==":
		return got == want
	case "!=":
		return got != want
	}
	return got != "" && got > want
}

// run runs all steps and returns whether the action succeeded.
func (r *runner) run() bool {
	r.t.Helper()
	for i, s := range readAction(r.t).Runs.Steps {
		if !r.condition(s.If) {
			continue
		}
		switch {
		case strings.HasPrefix(s.Uses, "actions/upload-artifact@"):
			r.uploaded = r.expand(s.With["path"])
			r.artifact = r.expand(s.With["name"])
			r.steps[s.ID] = map[string]string{"artifact-url": "https://github.example/artifacts/7"}
		case strings.HasPrefix(s.Uses, "actions/github-script@"):
			r.script(&s)
		case strings.HasPrefix(s.Uses, "actions/setup-go@"):
			r.setupGo = true
		case s.Uses != "":
			r.t.Errorf("the test does not know %s", s.Uses)
		default:
			if !r.step(i, &s) {
				r.failed = true
			}
		}
	}
	return !r.failed
}

// step runs one script as a runner does: bash --noprofile --norc -e -o pipefail.
func (r *runner) step(i int, s *step) bool {
	r.t.Helper()
	files := map[string]string{}
	env := append([]string(nil), r.env...)
	for _, name := range []string{"GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_ENV"} {
		files[name] = filepath.Join(r.temp, fmt.Sprintf("%s_%d", strings.ToLower(name), i))
		if err := os.WriteFile(files[name], nil, 0o600); err != nil {
			r.t.Fatal(err)
		}
		env = append(env, name+"="+files[name])
	}
	env = append(env, "PATH="+strings.Join(append(r.path, os.Getenv("PATH")), ":"))
	for k, v := range s.Env {
		env = append(env, k+"="+r.expand(v))
	}
	script := filepath.Join(r.temp, fmt.Sprintf("step_%d.sh", i))
	if err := os.WriteFile(script, []byte(r.expand(s.Run)), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if s.Shell != "bash" {
		r.t.Errorf("step %s has the shell %q", s.Name, s.Shell)
	}
	cmd := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script)
	cmd.Env = env
	cmd.Dir = filepath.Join(r.workspace, r.expand(s.WorkingDirectory))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Start()
	if err == nil && s.ID == "record" && r.cancel != nil {
		r.cancel(cmd.Process)
		r.cancelled = true
	}
	if err == nil {
		err = cmd.Wait()
	}
	fmt.Fprintf(&r.log, "--- %s\n%s", s.Name, &out)
	if err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			r.t.Fatal(err)
		}
		fmt.Fprintf(&r.log, "(%v)\n", err)
	}
	if s.ID != "" {
		r.steps[s.ID] = parseOutputs(r.t, files["GITHUB_OUTPUT"])
	}
	if b, rerr := os.ReadFile(files["GITHUB_PATH"]); rerr == nil {
		for line := range strings.Lines(string(b)) {
			r.path = append([]string{strings.TrimSpace(line)}, r.path...)
		}
	}
	return err == nil
}

// parseOutputs reads NAME=VALUE and NAME<<END forms.
func parseOutputs(t *testing.T, path string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if name, end, ok := strings.Cut(lines[i], "<<"); ok {
			var value []string
			for i++; i < len(lines) && lines[i] != end; i++ {
				value = append(value, lines[i])
			}
			if i == len(lines) {
				t.Errorf("output %s has no end", name)
			}
			out[name] = strings.Join(value, "\n")
		} else if name, value, ok := strings.Cut(lines[i], "="); ok {
			out[name] = value
		} else if lines[i] != "" {
			t.Errorf("%q is no output", lines[i])
		}
	}
	return out
}

// output is an output of the action.
func (r *runner) output(name string) string {
	o, ok := readAction(r.t).Outputs[name]
	if !ok {
		r.t.Errorf("the action has no output %s", name)
	}
	return r.expand(o.Value)
}

func (r *runner) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.workspace, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		r.t.Fatal(err)
	}
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
	if got := r.output("result"); got != "timeout" {
		t.Errorf("result %q\n%s", got, log)
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
	if got := r.output("result"); got != "passed" {
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
	// From here on it is in the tool cache, which is held against what was put there.
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
