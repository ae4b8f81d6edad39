//go:build linux && amd64

package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pyrr/internal/dap"
)

// TestVSCodeManifest: the extension declares exactly the settings that a launch takes.
func TestVSCodeManifest(t *testing.T) {
	text, err := os.ReadFile("../../editors/vscode/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Contributes struct {
			Debuggers []struct {
				Type                    string
				ConfigurationAttributes struct {
					Launch struct {
						Required   []string
						Properties map[string]any
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	var want []string
	for f := range reflect.TypeFor[dap.Launch]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		want = append(want, name)
	}
	slices.Sort(want)
	launch := manifest.Contributes.Debuggers[0].ConfigurationAttributes.Launch
	if got := slices.Sorted(maps.Keys(launch.Properties)); !slices.Equal(got, want) {
		t.Errorf("the manifest has %v, the adapter takes %v", got, want)
	}
	lock, err := os.ReadFile("../../editors/vscode/package-lock.json")
	if err != nil || !strings.Contains(string(lock), `"integrity": "sha512-`) || strings.Contains(string(lock), `"resolved"`) {
		t.Errorf("the lock file pins no hashes, or names hosts: %v", err)
	}
}

// TestVSCode checks the extension's types, runs its session with the adapter, and packs
// it.
func TestVSCode(t *testing.T) {
	if os.Getenv("PYRR_E2E") != "full" {
		t.Skip("PYRR_E2E=full runs it, make vscode too: it takes npm's packages from the network")
	}
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("there is no npm")
	}
	recordText(t, "pass") // skips where nothing can be recorded
	pyrr := t.TempDir() + "/pyrr"
	if out, err := exec.Command("go", "build", "-o", pyrr, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("../../scripts/vscode.sh")
	cmd.Env = append(os.Environ(), "PYRR="+pyrr, "PYTHON="+testPython())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
