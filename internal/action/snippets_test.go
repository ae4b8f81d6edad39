package action

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"pyrr/internal/setup"
)

// snippet returns the code block of docs/ci.md with a name.
func snippet(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- snippet: " + name + " -->\n```\\w+\n(.*?)\n```").FindSubmatch(b)
	if m == nil {
		t.Fatalf("docs/ci.md has no snippet %s", name)
	}
	return string(m[1])
}

// shop is a folder with a hanging test and the programs that a CI image has.
func shop(t *testing.T) (dir string, env []string) {
	t.Helper()
	py := python(t)
	dir = t.TempDir()
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o777); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "pyrr"), "./cmd/pyrr")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{
		"bin/pip":             "#!/bin/sh\necho pip \"$@\"\n",
		"bin/pytest":          "#!/bin/sh\nexec " + py + " hang.py\n",
		"bin/buildkite-agent": "#!/bin/sh\necho agent \"$@\"\ncat\n",
		"hang.py":             hang,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "CI=true", "API_TOKEN=tok-0123456789"}
}

// try runs shell code as a CI does, with a short time-out, and returns its
// status and output.
func try(t *testing.T, dir string, env []string, shell []string, code string) (int, string) {
	t.Helper()
	if !strings.Contains(code, "--timeout 10m") {
		t.Fatalf("no time-out in %s", code)
	}
	code = strings.ReplaceAll(code, "--timeout 10m", "--timeout "+setup.Timeout("4s"))
	cmd := exec.Command(shell[0], append(shell[1:], "-c", code)...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			return exit.ExitCode(), string(out)
		}
		t.Fatal(err)
	}
	return 0, string(out)
}

// TestSnippets runs the shell parts of the other CIs' configurations in
// docs/ci.md on a hanging test.
func TestSnippets(t *testing.T) {
	dir, env := shop(t)
	expect := func(t *testing.T, status int, out string) {
		t.Helper()
		for _, want := range []string{"pip install pyrr-replay", "replaced 1 known secret", "Deadlock: MainThread joins reader (hang.py:8), which waits for data from"} {
			if !strings.Contains(out, want) {
				t.Errorf("the job did not print %q", want)
			}
		}
		zips, _ := filepath.Glob(filepath.Join(dir, "recordings/*.pyrr.zip"))
		if status != 124 || len(zips) != 1 || t.Failed() {
			t.Errorf("status %d, recordings %v\n%s", status, zips, out)
		}
		os.RemoveAll(filepath.Join(dir, "recordings"))
	}
	snippetGitLab(t, dir, env, expect)
	t.Run("jenkins", func(t *testing.T) {
		text := snippet(t, "jenkins")
		m := regexp.MustCompile(`(?s)sh '''\n(.*?)'''`).FindStringSubmatch(text)
		n := regexp.MustCompile(`sh '(\[ .*)'\n`).FindStringSubmatch(text)
		if m == nil || n == nil || strings.Count(text, "{") != strings.Count(text, "}") {
			t.Fatalf("no steps in\n%s", text)
		}
		status, out := try(t, dir, env, []string{"sh", "-xe"}, m[1])
		after := exec.Command("sh", "-xe", "-c", n[1])
		after.Dir, after.Env = dir, env
		more, err := after.CombinedOutput()
		if err != nil {
			t.Error(err)
		}
		expect(t, status, out+string(more))
	})
	t.Run("buildkite", func(t *testing.T) {
		var doc struct {
			Steps []struct {
				Command       string
				ArtifactPaths []string `yaml:"artifact_paths"`
			}
		}
		if err := yaml.Unmarshal([]byte(snippet(t, "buildkite")), &doc); err != nil {
			t.Fatal(err)
		}
		// The agent's interpolation makes $$ a dollar.
		status, out := try(t, dir, env, []string{"bash", "-e"}, strings.ReplaceAll(doc.Steps[0].Command, "$$", "$"))
		if !strings.Contains(out, "agent annotate --style error --append\n### ⏱️ `") {
			t.Errorf("no annotation in\n%s", out)
		}
		expect(t, status, out)
	})
	t.Run("circleci", func(t *testing.T) {
		var doc struct {
			Jobs map[string]struct {
				Steps []yaml.Node
			}
		}
		if err := yaml.Unmarshal([]byte(snippet(t, "circleci")), &doc); err != nil {
			t.Fatal(err)
		}
		var steps []ciStep
		for _, node := range doc.Jobs["test"].Steps {
			var plain struct{ Run string }
			var long struct {
				Run struct{ Command, When string }
			}
			if node.Decode(&plain) == nil {
				steps = append(steps, ciStep{plain.Run, false})
			} else if node.Decode(&long) == nil {
				steps = append(steps, ciStep{long.Run.Command, long.Run.When == "on_fail"})
			}
		}
		status, out := runSteps(t, dir, env, steps)
		expect(t, status, out)
	})
	snippetAzure(t, dir, env, expect)
	t.Run("pre-commit", func(t *testing.T) { preCommit(t, dir, env) })
}

func snippetAzure(t *testing.T, dir string, env []string, expect func(t *testing.T, status int, out string)) {
	t.Run("azure", func(t *testing.T) {
		var doc struct {
			Steps []struct{ Script, Condition string }
		}
		if err := yaml.Unmarshal([]byte(snippet(t, "azure")), &doc); err != nil {
			t.Fatal(err)
		}
		var steps []ciStep
		for _, s := range doc.Steps {
			steps = append(steps, ciStep{s.Script, s.Condition != ""})
		}
		status, out := runSteps(t, dir, env, steps)
		if b, err := os.ReadFile(filepath.Join(dir, "reasons.md")); err != nil || !strings.Contains(string(b), "### ⏱️ `") || !strings.Contains(out, "##vso[task.uploadsummary]") {
			t.Errorf("%v\n%s\n%s", err, b, out)
		}
		expect(t, status, out)
	})
}

func snippetGitLab(t *testing.T, dir string, env []string, expect func(t *testing.T, status int, out string)) {
	t.Run("gitlab", func(t *testing.T) {
		var doc map[string]struct {
			Script      []string
			AfterScript []string `yaml:"after_script"`
			Artifacts   struct{ Paths []string }
		}
		quality := filepath.Join(dir, "gl-code-quality.json")
		if err := yaml.Unmarshal([]byte(snippet(t, "gitlab")), &doc); err != nil {
			t.Fatal(err)
		}
		job := doc["test"]
		if len(job.Artifacts.Paths) != 1 || job.Artifacts.Paths[0] != "recordings/*.pyrr.zip" {
			t.Errorf("artifacts %v", job.Artifacts.Paths)
		}
		status, out := try(t, dir, env, []string{"bash", "-e", "-o", "pipefail"}, strings.Join(job.Script, "\n"))
		expect(t, status, out+afterwards(t, dir, env, job.AfterScript))
		if b, err := os.ReadFile(quality); err != nil || !strings.Contains(string(b), `"path": "hang.py"`) {
			t.Errorf("%v\n%s", err, b)
		}
	})
}

// afterwards runs GitLab's after_script: in a shell of its own, whatever became of the script.
func afterwards(t *testing.T, dir string, env, script []string) string {
	t.Helper()
	cmd := exec.Command("bash", "-e", "-o", "pipefail", "-c", strings.Join(script, "\n"))
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Error(err)
	}
	return string(out)
}

// ciStep is a step of a CI: its script, and whether it runs after a failure, too.
type ciStep struct {
	script string
	always bool
}

// runSteps runs the steps of a job, and returns the status of the first that failed and
// all output.
func runSteps(t *testing.T, dir string, env []string, steps []ciStep) (status int, said string) {
	t.Helper()
	for _, s := range steps {
		if s.script == "" || status != 0 && !s.always {
			continue
		}
		cmd := exec.Command("bash", "-eo", "pipefail", "-c", strings.ReplaceAll(s.script, "--timeout 10m", "--timeout "+setup.Timeout("4s")))
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		said += string(out)
		if err != nil && status == 0 {
			status = cmd.ProcessState.ExitCode()
		}
	}
	return status, said
}

// preCommit runs the hook on a correct spec and on a wrong one.
func preCommit(t *testing.T, dir string, env []string) {
	var doc struct {
		Repos []struct {
			Hooks []struct{ Entry, Files string }
		}
	}
	if err := yaml.Unmarshal([]byte(snippet(t, "pre-commit")), &doc); err != nil {
		t.Fatal(err)
	}
	hook := doc.Repos[0].Hooks[0]
	if !regexp.MustCompile(hook.Files).MatchString("specs/x.yaml") {
		t.Errorf("the hook does not look at specs: %s", hook.Files)
	}
	spec := filepath.Join(dir, "specs/x.yaml")
	if err := os.MkdirAll(filepath.Dir(spec), 0o777); err != nil {
		t.Fatal(err)
	}
	for line, ok := range map[string]bool{"- connect": true, "- connect nowhere at all": false} {
		if err := os.WriteFile(spec, []byte("version: 1\nname: x\nrecording: none.pyrr.zip\nexpect:\n  "+line+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("bash", "-c", hook.Entry+" specs/x.yaml")
		cmd.Dir, cmd.Env = dir, env
		if out, err := cmd.CombinedOutput(); (err == nil) != ok {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

// TestWorkflowSnippet lints the workflow that docs/ci.md shows.
func TestWorkflowSnippet(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".github/workflows/reasons.yml")
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(snippet(t, "workflow_run")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	lint(t, file)
}
