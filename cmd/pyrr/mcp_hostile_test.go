//go:build linux && amd64

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"pyrr/internal/recording"
)

// hostile calls a tool with arguments that no client should give, and returns its answer:
// that has the form of every answer, and is no longer than one may be.
func (a *agent) hostile(tool string, args any) (text string, failed bool) {
	a.t.Helper()
	res, err := a.s.CallTool(a.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		a.t.Errorf("%s %.100v raises: %v", tool, args, err)
		return "", true
	}
	for _, c := range res.Content {
		text += c.(*mcp.TextContent).Text
	}
	b, err := json.Marshal(res.StructuredContent)
	if err != nil || len(text) > 4000 || len(b) > 6000 {
		a.t.Errorf("%s %.100v answers in %d bytes and %d, %v", tool, args, len(text), len(b), err)
	}
	if strings.Count(text, "<recording>") != 1 || strings.Count(text, "</recording>") != 1 {
		a.t.Errorf("%s %.100v: marks are missing or doubled:\n%.500s", tool, args, text)
	}
	return text, res.IsError
}

// oddRecording is the one that odd arguments come with.
const oddRecording = "app.pyrr.zip"

// TestAgentOddArguments gives each argument of each tool values of a wrong kind, and values
// that are far too large.
func TestAgentOddArguments(t *testing.T) {
	tracedPython(t)
	dir := t.TempDir()
	recordFor(t, dir, "app", "n = 1\nn = 2\n")
	a := startAgent(t, dir, "--limit", "30s")
	tools, err := a.s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 200_000)
	oddTypes(t, tools, a, long)
	a.hostile("no such tool", map[string]any{})
	// Each tool runs in a process of its own, which ends.
	hurried := startAgent(t, dir, "--limit", "1ms")
	toolsEnd(t, hurried)
	a.hostile(long, nil)
	with := func(pairs ...any) map[string]any { return arguments(oddRecording, pairs...) }
	for _, c := range []struct {
		tool string
		args map[string]any
		want string // of the answer; "" for a failure
	}{
		{"timeline", with("limit", -1), "exit_group"},
		{"timeline", with("limit", 1e99), "at"},
		{"timeline", with("limit", "2"), "more in the window"},
		{"timeline", with("limit", "many"), ""},
		{"timeline", with("limit", 1.5), ""},
		{"timeline", with("from", 0, "to", 250_000), "p1 e2 at "},
		{"timeline", with("from", -4), ""},
		{"timeline", with("from", "99999999999999999999999999"), ""},
		{"timeline", with("from", "e5", "to", "e2"), "no event"},
		{"timeline", with("kinds", "exit_group"), "exit_group"},
		{"timeline", with("kinds", "--json"), ""},
		{"stacks", with("at", -1), ""},
		{"stacks", with("at", "1e9"), ""},
		{"stacks", with("at", "101%"), ""},
		{"stacks", with("at", "18446744073709551616"), ""},
		{"values", with("at", "e0"), "no frames"},
		{"values", with("at", "end", "thread", "--help"), "no thread --help"},
		{"print", with("place", "app.py:-2"), ""},
		{"print", with("place", "app.py:2", "expressions", "n", "first", -3), "n = 1"},
		{"print", with("place", "app.py:2", "expressions", "n", "first", 1e30, "max_bytes", 1e30), "n = 1"},
		{"print", with("place", "app.py:2", "expressions", long), ""},
		{"print", with("place", "app.py:2", "expressions", strings.Repeat("(", 3000)), ""},
		{"print", with("place", "app.py:2", "if", strings.Repeat("n+", 40_000)+"n"), ""},
		{"print", with("place", "app.py:2", "test", "none"), ""},
		{"last", with("expression", "--history"), ""},
		{"last", with("expression", "n", "at", "-1"), ""},
		{"last", with("expression", "n"+strings.Repeat(".a", 1000)), ""},
		{"search", with("text", ""), ""},
		{"search", with("text", "no such text", "first", -9), "does not come up"},
		{"search", with("text", "n", "kinds", []any{"colour"}), ""},
		{"travel", with("from", "-1"), ""},
		{"travel", with("from", "start", "to", "call", "direction", "next"), "instruction"},
		{"source", with("file", "app.py", "line", 2), "n = 2"},
		{"source", with("file", "app.py", "line", 1e18), ""},
		{"source", with("file", ""), ""},
		{"check", with("sentence", long), ""},
		{"check", with("sentence", "recording: /etc/passwd"), ""},
		{"diff", with("passed", "/etc/passwd"), ""},
		{"explain", with("full", "true"), "No verdict"},
		{"explain", with("full", 7), ""},
		{"explain", with("max_bytes", -5), "No verdict"},
		{"explain", with("max_bytes", nil), "No verdict"},
		{"list", map[string]any{"recording": long}, "app.pyrr.zip"},
	} {
		text, failed := a.hostile(c.tool, c.args)
		if failed != (c.want == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s %.300s: failed is %v, and not %q:\n%s", c.tool, fmt.Sprint(c.args), failed, c.want, text)
		}
	}
}

// toolsEnd checks that each tool runs in a process of its own, which ends.
func toolsEnd(t *testing.T, hurried *agent) {
	for tool, args := range map[string]map[string]any{"source": {"file": "app.py"}, "explain": {}, "draft": {}, "timeline": {}} {
		args["recording"] = oddRecording
		if text, failed := hurried.hostile(tool, args); !failed || !strings.Contains(text, "ended after 1ms") {
			t.Errorf("%s does not end: %s", tool, text)
		}
	}
}

// oddTypes gives each argument of each tool values of other types.
func oddTypes(t *testing.T, tools *mcp.ListToolsResult, a *agent, long string) {
	for _, tool := range tools.Tools {
		b, err := json.Marshal(tool.InputSchema)
		var schema struct{ Properties map[string]any }
		if err == nil {
			err = json.Unmarshal(b, &schema)
		}
		if err != nil || len(schema.Properties) < 2 {
			t.Fatalf("%s: %v, %v", tool.Name, schema, err)
		}
		for name := range schema.Properties {
			for _, odd := range []any{map[string]any{"a": 1}, []any{[]any{1}}, []any{nil}} {
				if text, failed := a.hostile(tool.Name, map[string]any{"recording": oddRecording, name: odd}); !failed || !strings.Contains(text, name) {
					t.Errorf("%s with %s %v does not fail by that: %s", tool.Name, name, odd, text)
				}
			}
		}
		for _, args := range []any{[]any{oddRecording}, oddRecording, 7, map[string]any{long: 1}, map[string]any{"no such": nil}, map[string]any{"recording": long}, map[string]any{"recording": "\x00"}, map[string]any{"recording": "."}} {
			if text, failed := a.hostile(tool.Name, args); !failed && tool.Name != "list" {
				t.Errorf("%s %.50v does not fail: %s", tool.Name, args, text)
			}
		}
	}
}

// TestAgentOddRecordings asks about files that are no recordings, half ones, forged ones and
// bombs, and uses names that lead out of the folder.
func TestAgentOddRecordings(t *testing.T) {
	tracedPython(t)
	dir := t.TempDir()
	recordFor(t, dir, "outside", "print('secret of outside')")
	inside := filepath.Join(dir, "inside")
	outside := filepath.Join(dir, "outside.pyrr.zip")
	whole, err := os.ReadFile(outside)
	if err == nil {
		err = os.Mkdir(inside, 0o755)
	}
	rec, rerr := recording.Open(outside)
	if err != nil || rerr != nil {
		t.Fatal(err, rerr)
	}
	defer rec.Close()
	flipped := slices.Clone(whole)
	for i := len(flipped) / 4; i < len(flipped)*3/4; i += 997 {
		flipped[i] ^= 0x55
	}
	var odd []string
	for name, b := range map[string][]byte{"empty": {}, "none": []byte("PK\x03\x04 no zip"), "half": whole[:len(whole)/2], "flipped": flipped} {
		odd = append(odd, name+".pyrr.zip")
		if err := os.WriteFile(filepath.Join(inside, name+".pyrr.zip"), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	odd = forgedRecordings(odd, rec, inside)
	if err := os.Rename(bomb(t, 500_000), filepath.Join(inside, "bomb.pyrr.part")); err != nil {
		t.Fatal(err)
	}
	odd = append(odd, "bomb.pyrr.part")
	links := map[string]string{"loop.pyrr.zip": "loop.pyrr.zip", "up": "..", "link.pyrr.zip": outside, "dev.pyrr.zip": "/dev/zero"}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	a := startAgent(t, inside, "--limit", "20s")
	calls := map[string]map[string]any{
		"explain": {}, "timeline": {}, "stacks": {"at": "end"}, "values": {"at": "e3", "thread": "all"},
		"print": {"place": "outside.py:1", "expressions": "x"}, "last": {"expression": "x"}, "search": {"text": "secret"},
		"travel": {"from": "start"}, "source": {"file": "outside.py"}, "check": {"sentence": "futex blocked at end for > 1s"}, "draft": {},
	}
	for _, name := range odd {
		for tool, args := range calls {
			args["recording"] = name
			a.hostile(tool, args) // whatever it says, in its form and in its time
		}
		a.hostile("diff", map[string]any{"recording": name, "passed": "half.pyrr.zip"})
	}
	text, _ := a.hostile("list", nil)
	for _, name := range []string{"loop.pyrr.zip", "up/outside.pyrr.zip", "up/inside/../outside.pyrr.zip", "../outside.pyrr.zip", "link.pyrr.zip", "dev.pyrr.zip", "/etc/passwd", outside, "./../inside/../outside.pyrr.zip", "bomb.pyrr.part/../../outside.pyrr.zip"} {
		if strings.Contains(text, name) {
			t.Errorf("list has %s:\n%s", name, text)
		}
		for _, tool := range []string{"explain", "search", "source", "timeline"} {
			args := map[string]any{"recording": name}
			for k, v := range calls[tool] {
				if k != "recording" {
					args[k] = v
				}
			}
			if text, failed := a.hostile(tool, args); !failed || !strings.Contains(text, "there is no recording") {
				t.Errorf("%s of %s: %s", tool, name, text)
			}
		}
	}
}

// forgedRecordings adds some recordings with a changed event.
func forgedRecordings(odd []string, rec *recording.Recording, inside string) []string {
	for seed := uint64(0); len(odd) < 6; seed++ {
		f := forger{rnd: rand.New(rand.NewPCG(seed, 5))}
		name := fmt.Sprintf("forged%d.pyrr.part", seed)
		at, n := 1+f.rnd.IntN(1000), 0
		if rec.Rewrite(filepath.Join(inside, name), recording.Changes{Event: func(_ int, _ uint64, ev *recording.Event) {
			if n++; n == at {
				f.change(ev)
			}
		}}) == nil { // otherwise the forged recording can't even be written
			odd = append(odd, name)
		}
	}
	return odd
}
