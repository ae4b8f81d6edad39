package action

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
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
