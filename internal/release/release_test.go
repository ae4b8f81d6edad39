package release

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRelease makes a whole release twice and looks at what speaks of the packages.
func TestRelease(t *testing.T) {
	need(t, "dpkg-deb", "python3", "sha256sum", "go")
	dir := t.TempDir()
	release := func(args ...string) (string, error) {
		cmd := exec.Command("../../scripts/release.sh", args...)
		cmd.Env = append(os.Environ(), "PYRR_PACK_FAST=1", "PYRR_BUILDER=a test")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := release(version, dir); err != nil {
		if strings.Contains(out, "cyclonedx-gomod can't be had") && os.Getenv("PYRR_NO_SKIP") == "" {
			t.Skip("cyclonedx-gomod can't be had here")
		}
		t.Fatalf("%v\n%s", err, out)
	}
	sums := run(t, nil, "sh", "-c", "cd "+dir+" && sha256sum --check SHA256SUMS")
	if n := strings.Count(sums, ": OK"); n != 6 {
		t.Errorf("%d files have checksums:\n%s", n, sums)
	}
	var bill struct {
		Components []struct{ Name, Version string }
		Metadata   struct{ Timestamp string }
	}
	readJSON(t, filepath.Join(dir, "pyrr-"+version+".cdx.json"), &bill)
	have := map[string]string{}
	for _, c := range bill.Components {
		have[c.Name] = c.Version
	}
	// Each module that the binary is built of, as go.mod has them.
	for module, want := range map[string]string{"github.com/klauspost/compress": "v", "gopkg.in/yaml.v3": "v", "golang.org/x/sys": "v", "std": "go1."} {
		if !strings.HasPrefix(have[module], want) {
			t.Errorf("the bill of materials has %s in version %q", module, have[module])
		}
	}
	var statement struct {
		Subject []struct {
			Name   string
			Digest map[string]string
		}
		PredicateType string
	}
	readJSON(t, filepath.Join(dir, "pyrr-"+version+".provenance.json"), &statement)
	if len(statement.Subject) != 5 || statement.PredicateType != "https://slsa.dev/provenance/v1" {
		t.Errorf("%d subjects, %s", len(statement.Subject), statement.PredicateType)
	}
	all, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statement.Subject {
		if !strings.Contains(string(all), s.Digest["sha256"]+"  "+s.Name+"\n") {
			t.Errorf("the statement has another checksum of %s", s.Name)
		}
	}
	formula, err := os.ReadFile(filepath.Join(dir, "pyrr.rb"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(formula), "@") || !strings.Contains(string(all), "  pyrr-"+version+"-linux-amd64.tar.gz\n") {
		t.Errorf("the formula:\n%s", formula)
	}
	if out, err := release("--check", version, dir); err != nil {
		t.Errorf("made again: %v\n%s", err, out)
	}
	archive := filepath.Join(dir, "pyrr-"+version+"-linux-amd64.tar.gz")
	if err := os.WriteFile(archive, []byte("other"), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := release("--check", version, dir); err == nil {
		t.Errorf("another archive is not a difference:\n%s", out)
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestModulePath gives a copy of the source another path, as a fork would, and
// installs it from there by go install PATH/cmd/pyrr@VERSION, from a module proxy
// that is a folder.
func TestModulePath(t *testing.T) {
	need(t, "git", "go", "python3")
	const path, version = "example.org/somebody/pyrr", "v0.9.8"
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	run(t, nil, "sh", "-ec", `cd ../.. && git ls-files -co --exclude-standard -z >"$1/files" && mkdir "$2" && tar --null -T "$1/files" --ignore-failed-read -cf - 2>/dev/null | tar -xf - -C "$2" && cd "$2" && git init -q && git add .`, "sh", dir, source)
	out := run(t, nil, filepath.Join(source, "scripts/module.sh"), path)
	if !strings.Contains(out, " is "+path+" now") || strings.TrimSpace(run(t, nil, filepath.Join(source, "scripts/module.sh"))) != path {
		t.Errorf("it says %q", out)
	}
	readme, err := os.ReadFile(filepath.Join(source, "docs/ci.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "uses: somebody/pyrr@") || strings.Contains(string(readme), "OWNER/") {
		t.Error("docs/ci.md names another repository")
	}
	if bad := run(t, nil, "sh", "-c", "cd "+source+" && gofmt -l $(git ls-files '*.go' | grep -v testdata)"); bad != "" {
		t.Errorf("not in gofmt's form: %s", bad)
	}
	// A module proxy is a folder of four files (go help goproxy).
	at := filepath.Join(dir, "proxy", path, "@v")
	if err := os.MkdirAll(at, 0o777); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(source, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{version + ".mod": string(mod), version + ".info": `{"Version":"` + version + `"}`, "list": version + "\n"} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// Of the source only what go install compiles.
	run(t, nil, "python3", "-c", `
import sys, zipfile, os
source, out, prefix = sys.argv[1:]
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
    for top, dirs, files in os.walk(source):
        dirs[:] = [d for d in dirs if d not in (".git", "fixtures", "testdata", "docs")]
        for f in files:
            z.write(os.path.join(top, f), os.path.join(prefix, os.path.relpath(os.path.join(top, f), source)))
`, source, filepath.Join(at, version+".zip"), path+"@"+version)
	cache := strings.TrimSpace(run(t, nil, "go", "env", "GOMODCACHE"))
	modcache := filepath.Join(dir, "modules")
	t.Cleanup(func() { // the module cache is read-only
		_ = filepath.WalkDir(modcache, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(path, 0o777)
			}
			return err
		})
	})
	env := []string{"GOBIN=" + filepath.Join(dir, "bin"), "GOMODCACHE=" + modcache, "GOFLAGS=-trimpath", "GONOSUMDB=*", "GONOSUMCHECK=1", "GOSUMDB=off", "CGO_ENABLED=0",
		"GOPROXY=file://" + filepath.Join(dir, "proxy") + ",file://" + filepath.Join(cache, "cache/download"), "GOTOOLCHAIN=local"}
	run(t, env, "go", "install", path+"/cmd/pyrr@"+version)
	bin := filepath.Join(dir, "bin/pyrr")
	if out := run(t, nil, bin, "version"); !strings.HasPrefix(out, "pyrr "+version+" ") {
		t.Errorf("it says %q", out)
	}
	records(t, nil, bin, "/usr/bin/env", "python3")
}
