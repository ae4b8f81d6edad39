package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
	"pyrr/internal/traces"
)

// venvPython returns the interpreter of the virtual environment that has
// requests; scripts/venv.sh makes it.
func venvPython(t *testing.T) string {
	t.Helper()
	python := setup.Path("venv-311/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no virtual environment: scripts/venv.sh")
	}
	return python
}

// requestFrames are functions in the order of their frames, others between them.
var requestFrames = []struct {
	call string
	want []string // functions in this order, others between them
}{
	{"connect", []string{"__libc_connect", "getaddrinfo", "socket_getaddrinfo", "cfunction_call", "_PyObject_MakeTpCall",
		"_PyEval_EvalFrameDefault", "method_vectorcall", "thread_run", "pythread_wrapper", "start_thread", "clone"}},
	{"recv", []string{"__libc_recv", "sock_recv_impl", "sock_call_ex", "sock_recv_into", "_PyEval_EvalFrameDefault", "_bufferedreader_raw_read",
		"_io__Buffered_readline", "_PyEval_EvalFrameDefault", "thread_run", "pythread_wrapper", "start_thread", "clone"}},
}

// TestHangingRequest reads the two stacks that explain a hanging HTTP request:
// a thread in requests.get, at its first connect, which resolves the name, and
// at the recv that never returns.
func TestHangingRequest(t *testing.T) {
	t.Parallel()
	if r := probe.Machine(); !r.CanRecord() || !r.CanReplay() {
		t.Skip("this machine can't record and replay")
	}
	python := venvPython(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(t.TempDir(), "slow.pyrr.zip")
	status, _, errs := capturePyrr("record", "--timeout", setup.Timeout("5s"), "-o", rec, "--", python, filepath.Join(root, "fixtures/slow_http.py"), "localhost")
	if status != 124 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	short := func(s string) string {
		venv := filepath.Dir(filepath.Dir(python))
		return strings.NewReplacer(venv, "VENV", root, "REPO").Replace(s)
	}
	bt := func(args ...string) string {
		t.Helper()
		status, out, errs := capturePyrr(append([]string{"bt", rec}, args...)...)
		if status != 0 {
			t.Fatalf("bt %v: status %d\n%s", args, status, errs)
		}
		return short(out)
	}
	sameStacksAsGolden(t, bt)

	// In C, with arguments where the debug files are installed.
	type frame struct {
		Function, File string
		Args           []traces.JsonNamed
	}
	cFrames := func(call string) []frame {
		t.Helper()
		var stacks []struct{ Frames []frame }
		if err := json.Unmarshal([]byte(bt("--at", call, "--c", "--args", "--json")), &stacks); err != nil || len(stacks) != 1 {
			t.Fatal(len(stacks), err)
		}
		return stacks[0].Frames
	}
	at := cFrames("recv")
	if at[0].File == "" || at[4].File == "" {
		t.Skip("no debug files: apt-get install libc6-dbg python3.11-dbg")
	}
	// Its innermost frame may be a function of the same name that was inlined into it.
	recv := at[0]
	if at[1].Function == recv.Function {
		recv = at[1]
	}
	args := map[string]string{}
	for _, a := range recv.Args {
		args[strings.SplitN(a.Name, "=", 2)[0]] = a.Value
	}
	if recv.Function != "__libc_recv" || args["len"] != "8192" || args["flags"] != "0" {
		t.Errorf("innermost is %+v", at[:2])
	}
	for _, tt := range requestFrames {
		frames := cFrames(tt.call)
		i := 0
		for _, f := range frames {
			if i < len(tt.want) && strings.HasSuffix(f.Function, tt.want[i]) {
				i++
			}
		}
		if i < len(tt.want) {
			t.Errorf("at %s: no frame of %s where it should be, in %d frames", tt.call, tt.want[i], len(frames))
		}
	}
}

// sameStacksAsGolden compares the stacks in the form of openresty with those seen once.
func sameStacksAsGolden(t *testing.T, bt func(args ...string) string) {
	for _, call := range []string{"connect", "recv"} {
		golden(t, "request_"+call+".txt", bt("--at", call, "--format", "openresty"))
	}
}

// TestArticle runs the session of docs/article.md and compares the page with what the
// session prints: each line of the page has to be printed, in order; its numbers may be
// others.
func TestArticle(t *testing.T) {
	t.Parallel()
	if r := probe.Machine(); !r.CanRecord() || !r.CanReplay() {
		t.Skip("this machine can't record and replay")
	}
	if _, err := os.Stat("/usr/lib/debug/.build-id"); err != nil {
		t.Skip("no debug files: the page has arguments of C functions")
	}
	python := venvPython(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/article.md"))
	if err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(t.TempDir(), "slow.pyrr.zip")
	status, _, errs := capturePyrr("record", "--timeout", setup.Timeout("5s"), "--verify", "none", "-o", rec, "--", python, filepath.Join(root, "fixtures/slow_http.py"), "localhost")
	if status != 124 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	prompt := regexp.MustCompile(`^(?:start|end|\d+%) [\d,]+> (.*)$`)
	number := regexp.MustCompile(`0x[0-9a-f]+|[\d,]*\d`)
	plain := func(s string) string {
		if m := prompt.FindStringSubmatch(s); m != nil {
			s = "> " + m[1]
		}
		return number.ReplaceAllString(strings.TrimSpace(s), "N")
	}
	var want []string
	args := []string{"replay"}
	inside := false
	for line := range strings.Lines(string(page)) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "```") {
			inside = !inside
			continue
		}
		if !inside {
			continue
		}
		want = append(want, line)
		if m := prompt.FindStringSubmatch(line); m != nil {
			args = append(args, "-ex", m[1])
		}
	}
	status, out, errs := capturePyrr(append(args, "-ex", "quit", rec)...)
	if status != 0 {
		t.Fatalf("replay: status %d\n%s", status, errs)
	}
	out = strings.NewReplacer(filepath.Dir(filepath.Dir(python)), "VENV", root, "REPO").Replace(out)
	got := strings.Split(out, "\n")
	at := 0
	for _, w := range want {
		for at < len(got) && plain(got[at]) != plain(w) {
			at++
		}
		if at == len(got) {
			t.Fatalf("the page has %q, which was not printed\n%s", w, out)
		}
		at++
	}
}
