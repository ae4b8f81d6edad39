//go:build linux && amd64

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// shownText is a text that web/test/markdown.mjs shows.
type shownText struct {
	Name   string `json:"name"`
	File   string `json:"file"`
	Breaks bool   `json:"breaks"` // comments and issues: a line break in the text is shown as one
	Shot   string `json:"shot"`

	headings, folded int // at least
}

// TestMarkdownInBrowser records tests whose names, messages, threads, files and lines
// have characters with a meaning in Markdown, and looks in Chromium, 800 pixels wide, at
// what GitHub would show: the job's summary and the comment as the action writes them, the
// summary of checks, and the blocks for bug reports.
func TestMarkdownInBrowser(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	python := setup.Path("venv-pytest/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("there is no pytest: scripts/setup.sh")
	}
	browser, tools := browserTools(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/markdown")); err != nil {
		t.Fatal(err)
	}
	texts := odd(t, dir, python)
	cmark, _ := exec.LookPath("cmark-gfm")
	out := lookAt(t, dir, "markdown.mjs", tools, map[string]any{"browser": browser, "width": 800, "cmark": cmark, "texts": texts,
		"links": []string{"https://github.example/owner/shop/blob/abc123/", "https://github.example/artifacts/7"}})
	var found []struct {
		Name, Parser            string
		Problems, Headings      []string
		Blocks, Folded, Longest int
	}
	if err := json.Unmarshal(out, &found); err != nil || len(found) < len(texts) {
		t.Fatalf("%d texts: %v\n%s", len(found), err, out)
	}
	want := map[string]shownText{}
	for _, text := range texts {
		want[text.Name] = text
	}
	for _, f := range found {
		for _, p := range f.Problems {
			t.Errorf("%s, by %s: %s", f.Name, f.Parser, p)
		}
		if w := want[f.Name]; len(f.Headings) != w.headings || f.Folded < w.folded || f.Blocks == 0 {
			t.Errorf("%s, by %s: %d folded, %d blocks of code, headings %q", f.Name, f.Parser, f.Folded, f.Blocks, f.Headings)
		}
		if !strings.HasPrefix(f.Name, "pack-") && f.Longest > 40 {
			t.Errorf("%s: stacks of %d lines, of the runner's frames", f.Name, f.Longest)
		}
	}
}

// PYRR_KEEP_SHOTS names a folder for pictures of them, to be looked at.
const keepShots = "PYRR_KEEP_SHOTS"

// recordOdd records the tests, and returns the environment of their programs and how to call these.
func recordOdd(t *testing.T, dir, python string) (env, recordings []string, call func(env []string, name string, args ...string) (string, error)) {
	t.Helper()
	self, err := filepath.Abs(os.Args[0])
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "bin"), 0o755)
	}
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "bin/pyrr"))
	}
	if err != nil {
		t.Fatal(err)
	}
	env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "CI=", "PYTEST_ADDOPTS=", "GITHUB_ACTIONS=")
	call = func(env []string, name string, args ...string) (string, error) {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.Output()
		return string(out), err
	}
	if said, err := call(env, filepath.Join(dir, "bin/pyrr"), "record", "--keep", "failure", "--timeout", setup.Timeout("2"), "-o", "recordings", "--", python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_odd.py"); err == nil {
		t.Fatalf("it did not fail\n%s", said)
	}
	recordings, _ = filepath.Glob(filepath.Join(dir, "recordings/*.pyrr.zip"))
	if len(recordings) != 4 {
		t.Fatalf("recordings: %q", recordings)
	}
	return env, recordings, call
}

// odd records the tests and writes what is to be shown of them.
func odd(t *testing.T, dir, python string) []shownText {
	t.Helper()
	env, recordings, call := recordOdd(t, dir, python)
	pyrr := filepath.Join(dir, "bin/pyrr")
	summary, err := filepath.Abs("../../scripts/action/summary.sh")
	if err != nil {
		t.Fatal(err)
	}
	var texts []shownText
	add := func(name string, breaks bool, headings, folded int) string {
		file, shot := filepath.Join(dir, name+".md"), ""
		if to := os.Getenv(keepShots); to != "" {
			shot = filepath.Join(to, name+".png")
		}
		texts = append(texts, shownText{name, file, breaks, shot, headings, folded})
		return file
	}
	// Each of these commands reads recordings for a second or more.
	var together errgroup.Group
	for _, values := range []string{"", "true"} {
		temp := t.TempDir()
		action := append(slices.Clone(env), "PYRR_RESULT=timeout", "PYRR_STATUS=1", "PYRR_RECORDINGS="+filepath.Join(dir, "recordings"), "PYRR_ARTIFACT=pyrr-recordings-test-1",
			"PYRR_ARTIFACT_URL=https://github.example/artifacts/7", "PYRR_VALUES="+values, "GITHUB_RUN_ID=99", "GITHUB_REPOSITORY=owner/shop", "GITHUB_SHA=abc123",
			"GITHUB_SERVER_URL=https://github.example", "GITHUB_OUTPUT="+filepath.Join(temp, "output"), "RUNNER_TEMP="+temp, "GITHUB_STEP_SUMMARY="+add("summary"+values, false, 3, 3))
		comment := add("comment"+values, true, 3, 3)
		together.Go(func() error {
			if said, err := call(action, "bash", summary); err != nil {
				return fmt.Errorf("%w\n%s", err, said)
			}
			return os.Rename(filepath.Join(temp, "pyrr-comment.md"), comment)
		})
	}
	packed := map[string]bool{}
	for _, r := range recordings {
		name, folded := "message", 0 // file names keep only the end of long test names
		for _, kind := range []string{"hang", "file"} {
			if strings.HasPrefix(filepath.Base(r), "test_odd.test_"+kind) {
				name = kind
			}
		}
		if packed[name] {
			continue
		}
		packed[name] = true
		if name == "hang" {
			folded = 1
		}
		file := add("pack-"+name, true, 1, folded)
		together.Go(func() error {
			said, err := call(env, pyrr, "pack", "--markdown", "-o", filepath.Join(dir, name+"-packed.pyrr.zip"), r)
			if err != nil {
				return fmt.Errorf("pack %s: %w", r, err)
			}
			return os.WriteFile(file, []byte(said), 0o600)
		})
	}
	if err := together.Wait(); err != nil {
		t.Fatal(err)
	}
	return texts
}
