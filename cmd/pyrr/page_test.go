//go:build linux && amd64

package main

import (
	"encoding/json"
	"fmt"
	"image"
	_ "image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pyrr/internal/goldentest"
	"pyrr/internal/setup"
)

// pageState is a recording whose page is looked at.
type pageState struct {
	name string
	args []string // of record, behind the options
	// frame, vars are what the focus shows at first: parts of texts.
	frame, vars, sentence string
	dark                  bool // the colours on the desk; on the phone they are the other ones
	finds                 []pageFind
}

// pageFind is a text that is in sight after some clicks on what selectors name.
type pageFind struct {
	Clicks []string `json:"clicks"`
	Want   string   `json:"want"`
}

// shot is a picture to be taken; planned is a page to be opened.
type shot struct {
	Out   string `json:"out"`
	Width int    `json:"width"`
	Dark  bool   `json:"dark"`
}

type planned struct {
	Name    string     `json:"name"`
	File    string     `json:"file"`
	Full    bool       `json:"full"`
	Search  string     `json:"search"`
	Tabs    bool       `json:"tabs"`
	Hostile bool       `json:"hostile"`
	Shots   []shot     `json:"shots"`
	Finds   []pageFind `json:"finds"`
}

// timeouts are tried one after the other until the program has come to its end: a busy
// machine takes long for that. A loop, which is replayed, costs as much as it runs.
func (s *pageState) timeouts() []string {
	if s.name == "busy" {
		return []string{"3", "6", setup.Timeout("15")}
	}
	return []string{"4", "12", setup.Timeout("30")}
}

// pageStates are the five whose pictures docs/page.md shows.
func pageStates(python string) []pageState {
	hang := func(name string) []string { return []string{python, "-I", name + ".py"} }
	see := func(want string, clicks ...string) pageFind { return pageFind{clicks, want} }
	// For each page the reason, the line and the value of a variable.
	return []pageState{
		{"deadlock", hang("deadlock"), "transfer", "source", "Deadlock: ", false,
			[]pageFind{see("Deadlock: left waits for lock"), see("with target.lock:"), see("'savings'"), see("'checking'")}},
		{"failed", hang("failed"), "total", "prices", "KeyError: 'milk'", true,
			[]pageFind{see("KeyError: 'milk'"), see("summed += prices[name] * count"), see("{'tea': 4.5, 'bread': 3.2}")}},
		{"asyncio", hang("asyncio_hang"), "main", "jobs", "waits in jobs.join", true,
			[]pageFind{see("waits in jobs.join"), see("await jobs.join()"), see("{1: 'soup'}", "#tab-raises", ".raise button")}},
		{"busy", hang("busy"), "<module>", "tries", "MainThread loops", false,
			[]pageFind{see("MainThread loops"), see("while not state["), see("{'done': False}")}},
		{"processes", hang("processes"), "<module>", "worker", "Deadlock: ", false,
			[]pageFind{see("MainThread waits for the end of child"), see("worker.join()"), see("<ForkContext"), see("2/MainThread", "#evidence li:nth-child(2) a")}},
	}
}

// foundPage is what web/test/browser.mjs says of a page.
type foundPage struct {
	Name     string
	Problems []string
	First, Left, Searched,
	Again focused
	Options, Output []string
	Wide            int
	Printed         string
	Tabs            map[string]string
	// Of pyrr serve: the list, the address, the variables by a replay, and what another
	// tab sees at that address.
	List                        []string
	Address, Replayed, Stranger string
	Scripts                     struct {
		Alert    any
		Injected int
		Raw      bool
	}
	Slowest int // ms
	Finds   []struct {
		Want   string
		Clicks int
		Seen   bool
	}
}

type focused struct {
	Hash, Moment, Frame, Line, Events, Here string
	Vars                                    []string
}

// browserTools returns a browser and the folder of the npm packages that drive it.
func browserTools(t *testing.T) (browser, tools string) {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		t.Skip("there is no Chromium")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	out, err := exec.Command("../../scripts/page.sh").Output()
	if err != nil {
		t.Skipf("scripts/page.sh: %v", err)
	}
	return browser, strings.TrimSpace(string(out))
}

// TestPageInBrowser records five programs that hang or fail, and opens their pages in
// Chromium: a page writes nothing to the console, asks no server for anything and has no
// barriers (axe); reason, line and a variable's value are there at first sight; the address
// keeps the focus; the pictures are those of docs/page.md, within a tolerance.
func TestPageInBrowser(t *testing.T) {
	python := tracedPython(t)
	browser, tools := browserTools(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/page")); err != nil {
		t.Fatal(err)
	}
	states, plans := pageStates(python), []planned{}
	recordStates(t, dir, states)
	for i, s := range states {
		file := filepath.Join(dir, s.name+".html")
		p := planned{Name: s.name, File: file, Full: i == 0, Search: "futex left", Finds: s.finds}
		for _, width := range []int{1280, 390} {
			p.Shots = append(p.Shots, shot{filepath.Join(dir, shotName(s, width)), width, s.dark == (width == 1280)})
		}
		plans = append(plans, p)
	}
	plans = append(plans, planned{Name: "tabs", File: pageWithAll(t, python, dir), Tabs: true})
	s := startServe(t, dir, "--limit=10m")
	found := browse(t, dir, browser, tools, plans, map[string]string{
		"url": s.where, "link": "deadlock.py", "place": "deadlock.py:15", "expressions": "source.name, 6 * 7", "variable": "source.balance", "in": "transfer"})
	for i := range states {
		t.Run(states[i].name, func(t *testing.T) { holdPage(t, &states[i], &found[i], dir) })
	}
	t.Run("all ways", func(t *testing.T) { holdWays(t, &found[0]) })
	t.Run("serve", func(t *testing.T) { holdServed(t, &found[len(states)+1], s.token) })
	t.Run("tabs", func(t *testing.T) { holdTabs(t, &found[len(states)]) })
}

// recordStates records the programs and makes their pages, side by side: most of the
// time they wait.
func recordStates(t *testing.T, dir string, states []pageState) {
	t.Helper()
	pyrr := func(args ...string) (string, error) {
		cmd := exec.Command(os.Args[0], args...)
		cmd.Args[0], cmd.Dir = "pyrr", dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	var all sync.WaitGroup
	for _, s := range states {
		all.Go(func() {
			verdict := ""
			for i, timeout := range s.timeouts() {
				rec := s.name + ".pyrr.zip"
				if err := os.Remove(filepath.Join(dir, rec)); i > 0 && err != nil {
					t.Error(err)
				}
				if out, err := pyrr(append([]string{"record", "--timeout", timeout, "--on-timeout", "kill", "-o", rec}, s.args...)...); err == nil {
					t.Errorf("%s: it neither hung nor failed\n%s", s.name, out)
					return
				}
				if out, err := pyrr("report", "--variables", "always", "-o", s.name+".html", rec); err != nil {
					t.Errorf("%s: report: %v\n%s", s.name, err, out)
					return
				}
				if verdict = verdictOf(filepath.Join(dir, s.name+".html")); strings.Contains(verdict, s.sentence) {
					return
				}
			}
			t.Errorf("%s: the verdict is %q", s.name, verdict)
		})
	}
	if all.Wait(); t.Failed() {
		t.FailNow()
	}
}

// verdictOf is the sentence that stands on top of a page.
func verdictOf(file string) string {
	html, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	_, top, _ := strings.Cut(string(html), `<h2 id="why">`)
	top, _, _ = strings.Cut(top, "</h2>")
	return strings.ReplaceAll(top, "&#39;", "'")
}

// lookAt has a script of internal/page/web/test do what a plan says, and returns what it saw.
func lookAt(t *testing.T, dir, script, tools string, plan map[string]any) []byte {
	t.Helper()
	text, _ := json.Marshal(plan)
	file := filepath.Join(dir, "plan.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "../../internal/page/web/test/"+script, file)
	cmd.Env = append(os.Environ(), "PYRR_PAGE_TOOLS="+tools)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return out
}

// browse opens pages in a browser, and, where live is not nil, what pyrr serve shows.
func browse(t *testing.T, dir, browser, tools string, plans []planned, live map[string]string) []foundPage {
	t.Helper()
	plan, want := map[string]any{"browser": browser, "pages": plans}, len(plans)
	if live != nil {
		plan["live"] = live
		want++
	}
	out := lookAt(t, dir, "browser.mjs", tools, plan)
	var found []foundPage
	if err := json.Unmarshal(out, &found); err != nil || len(found) != want {
		t.Fatalf("%d pages: %v\n%s", len(found), err, out)
	}
	return found
}

func shotName(s pageState, width int) string {
	theme := "light"
	if s.dark == (width == 1280) {
		theme = "dark"
	}
	return fmt.Sprintf("%s-%d-%s.jpg", s.name, width, theme)
}

// holdPage checks what one sees first, and the pictures.
func holdPage(t *testing.T, s *pageState, f *foundPage, dir string) {
	for _, p := range f.Problems {
		t.Error(p)
	}
	for _, x := range f.Finds {
		if !x.Seen || x.Clicks > 3 {
			t.Errorf("after %d clicks %q is not in sight", x.Clicks, x.Want)
		}
	}
	if !strings.HasPrefix(f.First.Frame, s.frame) || !strings.Contains(strings.Join(f.First.Vars, "\n"), s.vars) || f.First.Line == "" {
		t.Errorf("the focus is %+v, not in %s with the variable %s", f.First, s.frame, s.vars)
	}
	for _, width := range []int{1280, 390} {
		name := shotName(*s, width)
		got, want := filepath.Join(dir, name), filepath.Join("../../docs/page", name)
		if goldentest.Updating(t) {
			text, err := os.ReadFile(got)
			if err == nil {
				err = os.WriteFile(want, text, 0o644)
			}
			if err != nil {
				t.Error(err)
			}
			continue
		}
		part, err := differing(got, want)
		t.Logf("%s: %.1f %% differ from docs/page", name, 100*part)
		if err != nil || part > 0.1 {
			kept := filepath.Join(os.TempDir(), "pyrr-page-"+name)
			if text, err := os.ReadFile(got); err == nil {
				os.WriteFile(kept, text, 0o600)
			}
			t.Errorf("%s: %.0f %% of the picture differ from docs/page (%v); the new one is kept as %s", name, 100*part, err, kept)
		}
	}
}

// holdWays checks keys, search, output, the address, a narrow screen and paper.
func holdWays(t *testing.T, f *foundPage) {
	if f.Left.Hash == f.First.Hash || !strings.Contains(f.Left.Hash, "#m=1.") {
		t.Errorf("an arrow key leads from %q to %q", f.First.Hash, f.Left.Hash)
	}
	again := f.Again
	if again.Moment != f.Left.Moment || again.Frame != f.Left.Frame || again.Line != f.Left.Line {
		t.Errorf("the address leads to %+v, not to %+v", again, f.Left)
	}
	if len(f.Options) == 0 || !strings.Contains(f.Searched.Events, "match") {
		t.Errorf("the search finds %q: %s", f.Options, f.Searched.Events)
	}
	for _, o := range f.Options {
		if !strings.HasPrefix(o, "futex(") {
			t.Errorf("the search finds %q", o)
		}
	}
	if want := []string{"<img src=x onerror=alert(1)> begins", `\x1b[31mred\u202e`}; len(f.Output) != 2 || f.Output[0] != want[0] || f.Output[1] != want[1] {
		t.Errorf("the output is %q, not %q", f.Output, want)
	}
	if f.Scripts.Alert != nil || f.Scripts.Injected != 0 {
		t.Errorf("the program's text became markup: %+v", f.Scripts)
	}
	if f.Wide > 360 {
		t.Errorf("on 360 pixels the page is %d wide", f.Wide)
	}
	if f.Printed == "none" {
		t.Error("the stacks are not on paper")
	}
}

// pageWithAll makes a page that has every tab: exceptions, checks, differences, tasks.
func pageWithAll(t *testing.T, python, dir string) string {
	t.Helper()
	spec := "version: 1\nname: eaten\nrecording: asyncio.pyrr.zip\nexpect:\n  - epoll_wait blocked at end for > 100ms\n  - connect\n"
	if err := os.WriteFile(filepath.Join(dir, "eaten.yaml"), []byte(spec), 0o644); err != nil {
		t.Fatal(err)
	}
	passed := filepath.Join(dir, "passed.pyrr.zip")
	cmd := exec.Command(os.Args[0], "record", "-o", passed, python, "-I", "-c", "import asyncio; asyncio.run(asyncio.sleep(0))")
	cmd.Args[0], cmd.Dir = "pyrr", dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := filepath.Join(dir, "tabs.html")
	if status, _, errs := capturePyrr("report", "--variables", "always", "--unlike", passed, "--specs", filepath.Join(dir, "eaten.yaml"), "-o", file, filepath.Join(dir, "asyncio.pyrr.zip")); status != 0 {
		t.Fatalf("report: %s", errs)
	}
	return file
}

// holdTabs checks what the tabs of a page say.
func holdTabs(t *testing.T, f *foundPage) {
	for _, p := range f.Problems {
		t.Error(p)
	}
	for id, want := range map[string]string{"tab-events": "events", "tab-output": "eats soup", "tab-tasks": "waits", "tab-raises": "Your code raised", "tab-checks": "1 do not hold", "tab-unlike": "did not"} {
		if !strings.Contains(f.Tabs[id], want) {
			t.Errorf("%s says %q", id, f.Tabs[id])
		}
	}
	if !strings.Contains(f.Left.Hash, "p=") || !strings.Contains(f.Left.Moment, "it raises KeyError") || len(f.Left.Vars) == 0 || f.Left.Line == "" {
		t.Errorf("an exception that was caught leads to %+v", f.Left)
	}
}

// holdServed checks what pyrr serve shows of a folder and of a recording in it.
func holdServed(t *testing.T, f *foundPage, token string) {
	for _, p := range f.Problems {
		t.Error(p)
	}
	list := strings.Join(f.List, "\n")
	if len(f.List) != 6 || !strings.Contains(list, "Deadlock: left waits for lock") || !strings.Contains(list, "KeyError: 'milk'") || !strings.Contains(list, "failed.pyrr.zip") {
		t.Errorf("the list is %q", f.List)
	}
	if strings.Contains(f.Address+f.First.Hash+f.Left.Hash, token) {
		t.Errorf("the token stays in the address: %s", f.Address)
	}
	if !strings.Contains(f.Replayed, "by a replay") || len(f.First.Vars) == 0 || f.First.Line == "" {
		t.Errorf("a moment without variables in the file has %q: %+v", f.Replayed, f.First)
	}
	if strings.Count(f.Printed, "6 * 742") != 2 || !strings.Contains(f.Printed, "'savings'") || !strings.Contains(f.Printed, "'checking'") {
		t.Errorf("print says %q", f.Printed)
	}
	if !strings.HasPrefix(f.Left.Frame, "transfer") || !strings.Contains(f.Left.Line, "both.wait()") || !strings.Contains(strings.Join(f.Left.Vars, " "), "savings") {
		t.Errorf("a moment of print's is %+v", f.Left)
	}
	if said := strings.Join(f.Output, "\n"); !strings.Contains(said, "source.balance = 500") {
		t.Errorf("last says %q", said)
	}
	if f.Scripts.Alert != nil || f.Scripts.Injected != 0 {
		t.Errorf("the program's text became markup: %+v", f.Scripts)
	}
	if !strings.Contains(f.Stranger, "open the address that pyrr serve printed") || strings.Contains(f.Stranger, "deadlock") {
		t.Errorf("without the token one sees %q", f.Stranger)
	}
	if f.Wide > 360 {
		t.Errorf("on 360 pixels the page is %d wide", f.Wide)
	}
}

// differing returns which part of the blocks of 16 by 16 pixels differs in its mean
// colour. Digits and the lengths of bars differ from run to run.
func differing(a, b string) (float64, error) {
	var images [2]image.Image
	for i, name := range []string{a, b} {
		f, err := os.Open(name)
		if err != nil {
			return 1, err
		}
		defer f.Close()
		if images[i], _, err = image.Decode(f); err != nil {
			return 1, err
		}
	}
	if images[0].Bounds() != images[1].Bounds() {
		return 1, fmt.Errorf("%v against %v", images[0].Bounds(), images[1].Bounds())
	}
	const side = 16
	box, all, other := images[0].Bounds(), 0, 0
	for y := box.Min.Y; y+side <= box.Max.Y; y += side {
		for x := box.Min.X; x+side <= box.Max.X; x += side {
			all++
			var sum [2][3]int
			for i, img := range images {
				for n := range side * side {
					r, g, b, _ := img.At(x+n%side, y+n/side).RGBA()
					sum[i][0], sum[i][1], sum[i][2] = sum[i][0]+int(r>>8), sum[i][1]+int(g>>8), sum[i][2]+int(b>>8)
				}
			}
			for c := range 3 {
				if d := (sum[0][c] - sum[1][c]) / (side * side); d > 24 || d < -24 {
					other++
					break
				}
			}
		}
	}
	return float64(other) / float64(max(1, all)), nil
}
