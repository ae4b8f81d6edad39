package action

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// fill replaces the names between marks by values, and checks that every name that is
// used is declared and every declared name is used.
func fill(t *testing.T, text string, mark *regexp.Regexp, values map[string]string) string {
	t.Helper()
	used := map[string]bool{}
	out := mark.ReplaceAllStringFunc(text, func(s string) string {
		name := mark.FindStringSubmatch(s)[1]
		if _, ok := values[name]; !ok {
			t.Errorf("%s is declared nowhere", name)
		}
		used[name] = true
		return values[name]
	})
	for name := range values {
		if !used[name] {
			t.Errorf("%s is used nowhere", name)
		}
	}
	return out
}

func component(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestGitLabComponent runs the job of the component on a hanging test, with other inputs
// than the defaults.
func TestGitLabComponent(t *testing.T) {
	dir, env := shop(t)
	head, body, ok := strings.Cut(component(t, "templates/pyrr.yml"), "\n---\n")
	var spec struct {
		Spec struct {
			Inputs map[string]struct {
				Description, Default string
				Options              []string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(head), &spec); err != nil || !ok {
		t.Fatal(err)
	}
	values := map[string]string{}
	for name, input := range spec.Spec.Inputs {
		if values[name] = input.Default; input.Default == "" || input.Options != nil && !slices.Contains(input.Options, input.Default) {
			t.Errorf("%s has no default, or one that it does not take: %q", name, input.Default)
		}
	}
	maps.Copy(values, map[string]string{"recordings": "kept", "job": "unit tests", "run": "pytest --junitxml=junit.xml tests"})
	var doc map[string]struct {
		Image, Stage string
		Script       []string
		AfterScript  []string `yaml:"after_script"`
		Artifacts    struct {
			Paths   []string
			Reports map[string]string
		}
	}
	if err := yaml.Unmarshal([]byte(fill(t, body, regexp.MustCompile(`\$\[\[ inputs\.(\w+) \]\]`), values)), &doc); err != nil {
		t.Fatal(err)
	}
	job := doc["unit tests"]
	status, out := try(t, dir, env, []string{"bash", "-e", "-o", "pipefail"}, strings.Join(job.Script, "\n"))
	more := afterwards(t, dir, env, job.AfterScript)
	why := "Deadlock: MainThread joins reader (hang.py:8), which waits for data from"
	zips, _ := filepath.Glob(filepath.Join(dir, job.Artifacts.Paths[0]))
	if status != 124 || len(zips) != 1 || !strings.Contains(out+more, why) {
		t.Errorf("status %d, kept %v\n%s%s", status, zips, out, more)
	}
	if b, err := os.ReadFile(filepath.Join(dir, job.Artifacts.Reports["codequality"])); err != nil || !strings.Contains(string(b), `"path": "hang.py"`) {
		t.Errorf("%v\n%s", err, b)
	}
}

// orbCommand is a command or a job of an orb.
type orbCommand struct {
	Description string
	Parameters  map[string]struct {
		Type, Default string
		Enum          []string
	}
	Steps  []yaml.Node
	Docker []struct{ Image string }
}

// filled is the command with the defaults of its parameters, but for some.
func (c *orbCommand) filled(t *testing.T, other map[string]string) (steps []ciStep, artifacts string) {
	t.Helper()
	values := map[string]string{}
	for name, p := range c.Parameters {
		if values[name] = p.Default; p.Default == "" || p.Type == "enum" && !slices.Contains(p.Enum, p.Default) {
			t.Errorf("%s has no default, or one that it does not take: %q", name, p.Default)
		}
	}
	maps.Copy(values, other)
	b, err := yaml.Marshal(map[string]any{"steps": c.Steps, "docker": c.Docker})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Steps []yaml.Node }
	text := fill(t, string(b), regexp.MustCompile(`<< parameters\.(\w+) >>`), values)
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	for _, node := range doc.Steps {
		var s struct {
			Run            struct{ Name, Command, When string }
			StoreArtifacts struct{ Path string } `yaml:"store_artifacts"`
		}
		if node.Kind == yaml.MappingNode && node.Decode(&s) != nil {
			t.Errorf("line %d: no step", node.Line)
		}
		steps = append(steps, ciStep{s.Run.Command, s.Run.When == "on_fail"})
		artifacts += s.StoreArtifacts.Path
	}
	return steps, artifacts
}

// TestCircleCIOrb runs the steps of the orb's command on a hanging test.
func TestCircleCIOrb(t *testing.T) {
	dir, env := shop(t)
	var orb struct {
		Version        string
		Commands, Jobs map[string]*orbCommand
	}
	if err := yaml.Unmarshal([]byte(component(t, "packaging/circleci/orb.yml")), &orb); err != nil || orb.Version != "2.1" {
		t.Fatalf("version %q: %v", orb.Version, err)
	}
	steps, artifacts := orb.Commands["record"].filled(t, map[string]string{"recordings": "kept", "run": "pytest tests"})
	status, out := runSteps(t, dir, env, steps)
	zips, _ := filepath.Glob(filepath.Join(dir, artifacts, "*.pyrr.zip"))
	if status != 124 || artifacts != "kept" || len(zips) != 1 || !strings.Contains(out, "Deadlock: MainThread joins reader (hang.py:8), which waits for data from") {
		t.Errorf("status %d, kept %v in %s\n%s", status, zips, artifacts, out)
	}
	// The job hands its parameters to the command, which has to have them.
	orb.Jobs["test"].filled(t, nil)
	var uses struct{ Record map[string]string }
	for _, step := range orb.Jobs["test"].Steps {
		if step.Decode(&uses) == nil && uses.Record != nil {
			break
		}
	}
	for name := range uses.Record {
		if _, ok := orb.Commands["record"].Parameters[name]; !ok {
			t.Errorf("the command has no parameter %s", name)
		}
	}
	if len(uses.Record) == 0 {
		t.Error("the job does not record")
	}
}

// TestPreCommitHook has pre-commit itself take the hook from this repository, build
// pyrr, and look at a spec that is right and one that is not.
func TestPreCommitHook(t *testing.T) {
	out, err := exec.Command("../../scripts/venv.sh", "pre-commit").Output()
	if err != nil {
		t.Skipf("no pre-commit here: %v", err)
	}
	preCommit := filepath.Join(strings.TrimSpace(string(out)), "bin/pre-commit")
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	home, dir := t.TempDir(), t.TempDir()
	do := func(dir, name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PRE_COMMIT_HOME="+home, "GOMODCACHE="+strings.TrimSpace(string(cache)), "GOFLAGS=-trimpath -buildvcs=false",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(dir, name string, args ...string) string {
		t.Helper()
		out, err := do(dir, name, args...)
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return out
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// What is here, committed or not, as a repository of its own.
	source := filepath.Join(t.TempDir(), "pyrr")
	must(root, "sh", "-c", "mkdir "+source+" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "+source)
	must(source, "sh", "-c", "git init -q && git add -A && git commit -qm source")
	revision := strings.TrimSpace(must(source, "git", "rev-parse", "HEAD"))
	config := strings.NewReplacer("https://github.com/OWNER/pyrr", source, "v0.1.0", revision).Replace(snippet(t, "pre-commit-repo"))
	spec := "version: 1\nname: x\nrecording: none.pyrr.zip\nexpect:\n  - connect"
	if err := os.MkdirAll(filepath.Join(dir, "specs"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ name, text string }{{".pre-commit-config.yaml", config + "\n"}, {"specs/x.yaml", spec + "\n"}, {"other.yaml", "no spec\n"}} {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	must(dir, "sh", "-c", "git init -q && git add -A")
	if out := must(dir, preCommit, "run", "--all-files"); !strings.Contains(out, "pyrr specs") || !strings.Contains(out, "Passed") {
		t.Errorf("a spec that is right:\n%s", out)
	}
	if err := os.WriteFile(filepath.Join(dir, "specs/x.yaml"), []byte(spec+" nowhere at all\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	must(dir, "git", "add", "-A")
	if out, err := do(dir, preCommit, "run", "--all-files"); err == nil || !strings.Contains(out, "specs/x.yaml:5") {
		t.Errorf("a spec that is wrong: %v\n%s", err, out)
	}
	must(home, "chmod", "-R", "u+w", home) // the Go command's own are not to be written to
}
