package page

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tools returns the folder of the pinned npm packages; a test that needs them is
// skipped where there is no node.
func tools(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	cmd := exec.Command("../../scripts/page.sh")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the npm packages can't be had: %v\n%s", err, said.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// TestBuilt holds that the script and the style in the repository are what their
// source gives, and that the source has no mistake of types.
func TestBuilt(t *testing.T) {
	tools, dir := tools(t), t.TempDir()
	if out, err := exec.Command(filepath.Join(tools, "node_modules/.bin/tsc"), "-p", "web").CombinedOutput(); err != nil {
		t.Errorf("tsc: %v\n%s", err, out)
	}
	cmd := exec.Command("node", "web/build.mjs", dir)
	cmd.Env = append(os.Environ(), "PYRR_PAGE_TOOLS="+tools)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, have := range map[string]string{"page.js": script, "live.js": live, "page.css": style} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != have {
			t.Errorf("web/built/%s is not what web/src gives: scripts/page.sh build", name)
		}
	}
}

// TestBuiltFrom holds, without node, that they were built from the source that is there.
func TestBuiltFrom(t *testing.T) {
	names, err := filepath.Glob("web/src/*")
	if err != nil || len(names) < 10 {
		t.Fatalf("%d files of the source: %v", len(names), err)
	}
	names = append(names, "web/package-lock.json")
	slices.Sort(names)
	sum := sha256.New()
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(sum, "%s\x00%s\x00", strings.TrimPrefix(name, "web/"), text)
	}
	was, err := os.ReadFile("web/built/source.sha256")
	if err != nil || strings.TrimSpace(string(was)) != fmt.Sprintf("%x", sum.Sum(nil)) {
		t.Errorf("web/built is not made from web/src as it is (%v): scripts/page.sh build", err)
	}
}

// TestInline: neither the script nor the style ends its own element or loads anything.
func TestInline(t *testing.T) {
	for name, text := range map[string]string{"script": script, "style": style} {
		for _, bad := range []string{"</script", "</style", "<!--", "http://", "https://", "url(", "@import", "fetch(", "XMLHttpRequest", "WebSocket", "innerHTML", "eval("} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(bad)) {
				t.Errorf("the %s holds %q", name, bad)
			}
		}
	}
	// The script of pyrr serve asks, but only its own server.
	for _, bad := range []string{"</script", "<!--", "http://", "https://", "@import", "WebSocket", "EventSource", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "localStorage", "cookie"} {
		if strings.Contains(strings.ToLower(live), strings.ToLower(bad)) {
			t.Errorf("the script of pyrr serve holds %q", bad)
		}
	}
}
