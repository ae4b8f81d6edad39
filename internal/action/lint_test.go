package action

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// actionlint is run at a fixed version, as the Makefile runs staticcheck.
const actionlint = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

func lint(t *testing.T, args ...string) {
	t.Helper()
	// Rules that need other programs are off: whether those are installed
	// must not decide what the test says.
	cmd := exec.Command("go", append([]string{"run", actionlint, "-no-color", "-shellcheck=", "-pyflakes="}, args...)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	if os.Getenv("PYRR_NO_SKIP") == "" && bytes.Contains(out, []byte("dial tcp")) {
		t.Skipf("actionlint can't be had here: %s", out)
	}
	t.Errorf("actionlint: %v\n%s", err, out)
}

func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	lint(t, files...)
}

// TestActionSteps lints the steps of action.yml, which actionlint itself does
// not look into, as those of a workflow with the same inputs.
func TestActionSteps(t *testing.T) {
	b, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Inputs map[string]map[string]any `yaml:"inputs"`
		Runs   struct {
			Steps []map[string]any `yaml:"steps"`
		} `yaml:"runs"`
	}
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	inputs := map[string]any{}
	for name, in := range doc.Inputs {
		inputs[name] = map[string]any{"type": "string", "required": in["required"] == true, "description": in["description"]}
	}
	workflow := map[string]any{
		"on":   map[string]any{"workflow_call": map[string]any{"inputs": inputs}},
		"jobs": map[string]any{"test": map[string]any{"runs-on": "ubuntu-latest", "steps": doc.Runs.Steps}},
	}
	out, err := yaml.Marshal(workflow)
	if err != nil {
		t.Fatal(err)
	}
	// A repository of its own, since actionlint looks for one.
	dir := t.TempDir()
	file := filepath.Join(dir, ".github/workflows/steps.yml")
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out, 0o666); err != nil {
		t.Fatal(err)
	}
	lint(t, file)
}

// TestScriptsAreNamed holds that each script is used by action.yml, can be
// executed, and reads no variable that action.yml does not set.
func TestScriptsAreNamed(t *testing.T) {
	action, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	set := regexp.MustCompile(`(?m)^\s+(PYRR_\w+):`).FindAllStringSubmatch(string(action), -1)
	var names []string
	for _, m := range set {
		names = append(names, m[1])
	}
	scripts, _ := filepath.Glob("../../scripts/action/*.sh")
	for _, script := range scripts {
		base := filepath.Base(script)
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`PYRR_[A-Z_]+`).FindAllString(string(text), -1) {
			if !slices.Contains(names, m) {
				t.Errorf("%s reads %s, which action.yml does not set", base, m)
			}
		}
		if base == "lib.sh" {
			continue
		}
		if !strings.Contains(string(action), "scripts/action/"+base) {
			t.Errorf("%s is not used", base)
		}
		if st, err := os.Stat(script); err != nil || st.Mode()&0o111 == 0 {
			t.Errorf("%s can't be executed", base)
		}
		if out, err := exec.Command("bash", "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", base, err, out)
		}
	}
	if len(scripts) < 6 {
		t.Error(fmt.Sprint("only ", scripts))
	}
}
