//go:build linux && amd64

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
)

// serving is a pyrr serve that runs, and a client of it.
type serving struct {
	t                 *testing.T
	cmd               *exec.Cmd
	url, token, where string
	errs              *bytes.Buffer
}

// firstLine starts a program, and returns the first line that it prints into a pipe. The
// program ends with the test.
func firstLine(t *testing.T, cmd *exec.Cmd, pipe func() (io.ReadCloser, error)) (string, error) {
	t.Helper()
	out, err := pipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // where the test has not ended it
		cmd.Wait()
	})
	return bufio.NewReader(out).ReadString('\n')
}

// startServe starts pyrr serve on a root.
func startServe(t *testing.T, root string, flags ...string) *serving {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(append([]string{"serve"}, flags...), root)...)
	cmd.Args[0] = "pyrr" // TestMain runs main for that name
	s := &serving{t: t, cmd: cmd, errs: &bytes.Buffer{}}
	cmd.Stderr = s.errs
	var err error
	if s.where, err = firstLine(t, cmd, cmd.StdoutPipe); err != nil {
		t.Fatalf("it prints no address: %v\n%s", err, s.errs)
	}
	s.where = strings.TrimSpace(s.where)
	var ok bool
	if s.url, s.token, ok = strings.Cut(s.where, "/#token="); !ok || !strings.HasPrefix(s.url, "http://127.0.0.1:") || len(s.token) < 32 {
		t.Fatalf("the address is %q", s.where)
	}
	return s
}

// served is what the server said.
type served struct {
	status int
	body   string
	head   http.Header
}

// do makes a request; change, when not nil, alters it before.
func (s *serving) do(ctx context.Context, method, path, body string, change func(*http.Request)) (served, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		return served{}, err
	}
	r.Header.Set("Pyrr-Token", s.token)
	r.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(r)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return served{}, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	return served{got.StatusCode, string(text), got.Header}, err
}

func (s *serving) post(path, body string) served {
	s.t.Helper()
	got, err := s.do(s.t.Context(), "POST", path, body, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// children are the processes that the server started.
func (s *serving) children() []int {
	var out []int
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(f) > 1 && f[1] == strconv.Itoa(s.cmd.Process.Pid) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			out = append(out, pid)
		}
	}
	return out
}

// serveProgram runs for a while: it is slow to be asked about each turn.
const serveProgram = `import os
def total(n):
    s = 0
    for i in range(n):
        s += i
    return s
name = "<img src=x onerror=alert(1)>"
print("begins", os.getpid(), flush=True)
print(total(60_000), flush=True)
raise ValueError(name)
`

// TestServe checks what pyrr serve answers, all that it refuses, and that nothing of a
// question is left when the question is over.
func TestServe(t *testing.T) {
	tracedPython(t)
	dir := t.TempDir()
	folder, outside := filepath.Join(dir, "recordings"), filepath.Join(dir, "outside")
	for _, d := range []string{folder, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	recordFor(t, outside, "slow", serveProgram)
	inside := filepath.Join(folder, "slow"+recording.PackedSuffix)
	if err := os.Link(filepath.Join(outside, "slow"+recording.PackedSuffix), inside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "slow"+recording.PackedSuffix), filepath.Join(folder, "link"+recording.PackedSuffix)); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(inside)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	for i := len(flipped) / 7; i < len(flipped); i += len(flipped) / 7 {
		flipped[i] ^= 0x55
	}
	forged := map[string][]byte{"cut": whole[:len(whole)/2], "flipped": flipped, "empty": nil, "text": []byte("<script>alert(1)</script>")}
	for name, text := range forged {
		if err := os.WriteFile(filepath.Join(folder, name+".pyrr.zip"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := filesIn(t, dir)
	s := startServe(t, folder)
	t.Run("forged", func(t *testing.T) {
		for name := range forged {
			for _, path := range []string{"/api/why", "/api/page"} {
				got := s.post(path, `{"recording":"`+name+`.pyrr.zip"}`)
				if got.status != http.StatusOK && got.status != http.StatusUnprocessableEntity || strings.Contains(got.body, "<script>alert") || strings.Contains(got.body, "panic") {
					t.Errorf("%s of %s: %d %.500s", path, name, got.status, got.body)
				}
			}
		}
	})
	t.Run("answers", func(t *testing.T) { serveAnswers(t, s) })
	t.Run("refusals", func(t *testing.T) { serveRefusals(t, s, outside) })
	t.Run("too many", func(t *testing.T) { serveTooMany(t, s) })
	t.Run("closed", func(t *testing.T) { serveClosed(t, s) })
	t.Run("bounds", func(t *testing.T) {
		for flag, want := range map[string]string{"--memory=1": "took more than 1 MiB", "--limit=300ms": "ended after 300ms"} {
			got := startServe(t, inside, flag).post("/api/print", slowQuestion)
			if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, want) {
				t.Errorf("%s: %d %s", flag, got.status, got.body)
			}
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		go s.do(context.Background(), "POST", "/api/print", slowQuestion, nil)
		until(t, "the question runs", func() bool { return len(s.children()) > 0 })
		running := s.children()
		s.cmd.Process.Signal(unix.SIGINT)
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("Ctrl-C: %v\n%s", err, s.errs)
		}
		for _, pid := range running {
			if unix.Kill(pid, 0) == nil {
				t.Errorf("process %d outlives the server", pid)
			}
		}
	})
	if after := filesIn(t, dir); after != before {
		t.Errorf("files have changed:\n%s\nbefore:\n%s", after, before)
	}
	if strings.Contains(s.errs.String(), s.token) {
		t.Error("the token is in the output of the server")
	}
}

// slowQuestion looks at each of many turns of a loop, and finds none.
const slowQuestion = `{"recording":"slow.pyrr.zip","place":"slow.py:5","expressions":"i","if":"i < 0"}`

func filesIn(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, st os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, path, st.Mode(), st.Size(), st.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// until waits for something that comes sooner or later.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within five minutes: %s", what)
		}
	}
}

func serveAnswers(t *testing.T, s *serving) {
	for _, path := range []string{"/", "/r/slow.pyrr.zip", "/r/nonesuch"} {
		got, err := s.do(t.Context(), "GET", path, "", func(r *http.Request) { r.Header.Del("Pyrr-Token") })
		if err != nil || got.status != http.StatusOK || strings.Contains(got.body, "slow.pyrr") || strings.Contains(got.body, s.token) {
			t.Errorf("GET %s: %d, %v: without the token every address gets the same page, with nothing of a recording", path, got.status, err)
		}
		policy := got.head.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "frame-ancestors 'none'", "connect-src 'self'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("the policy has no %s: %s", want, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || got.head.Get("Cache-Control") != "no-store" || got.head.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("headers: %v", got.head)
		}
	}
	var passed struct {
		Found []struct{ Instruction uint64 }
	}
	if err := json.Unmarshal([]byte(s.post("/api/print", `{"recording":"slow.pyrr.zip","place":"slow.py:6"}`).body), &passed); err != nil || len(passed.Found) != 1 {
		t.Fatalf("print: %v %+v", err, passed)
	}
	position := strconv.FormatUint(passed.Found[0].Instruction, 10)
	for _, q := range []struct{ path, body, want string }{
		{"/api/list", `{}`, `"name":"slow.pyrr.zip"`},
		{"/api/why", `{"recording":"slow.pyrr.zip"}`, `ValueError: \u003cimg`},
		{"/api/page", `{"recording":"slow.pyrr.zip"}`, `ValueError: &lt;img src=x onerror=alert(1)&gt;`},
		{"/api/at", `{"recording":"slow.pyrr.zip","process":1,"position":` + position + `}`, `"name":"s","value":"1799970000"`},
		{"/api/last", `{"recording":"slow.pyrr.zip","expression":"s","in":"total","at":"` + position + `"}`, `"after":"1799970000"`},
		{"/api/print", `{"recording":"slow.pyrr.zip","place":"slow.py:2000"}`, `"none":"`},
		{"/api/print", `{"recording":"slow.pyrr.zip","place":"--help"}`, `"none":"--help was not passed`},
	} {
		if got := s.post(q.path, q.body); got.status != http.StatusOK || !strings.Contains(got.body, q.want) {
			t.Errorf("%s %s: %d %.2000s", q.path, q.body, got.status, got.body)
		}
	}
}

func serveRefusals(t *testing.T, s *serving, outside string) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	why := `{"recording":"slow.pyrr.zip"}`
	quote := func(path string) string {
		text, _ := json.Marshal(map[string]string{"recording": path})
		return string(text)
	}
	for _, q := range []struct {
		name, method, path, body string
		change                   func(*http.Request)
		status                   int
	}{
		{"a name of somebody else's", "POST", "/api/why", why, func(r *http.Request) { r.Host = "evil.example:80" }, http.StatusMisdirectedRequest},
		{"the page by such a name", "GET", "/", "", func(r *http.Request) { r.Host = "evil.example" }, http.StatusMisdirectedRequest},
		{"another port", "GET", "/", "", func(r *http.Request) { r.Host = "127.0.0.1:1" }, http.StatusMisdirectedRequest},
		{"no token", "POST", "/api/why", why, func(r *http.Request) { r.Header.Del("Pyrr-Token") }, http.StatusUnauthorized},
		{"a wrong token", "POST", "/api/why", why, header("Pyrr-Token", strings.Repeat("x", len(s.token))), http.StatusUnauthorized},
		{"the token in the query", "POST", "/api/why?token=" + s.token, why, func(r *http.Request) { r.Header.Del("Pyrr-Token") }, http.StatusBadRequest},
		{"another site", "POST", "/api/why", why, header("Origin", "http://evil.example"), http.StatusForbidden},
		{"no site", "POST", "/api/why", why, header("Origin", "null"), http.StatusForbidden},
		{"another site, as the browser says", "POST", "/api/why", why, header("Sec-Fetch-Site", "cross-site"), http.StatusForbidden},
		{"a form", "POST", "/api/why", why, header("Content-Type", "text/plain"), http.StatusUnsupportedMediaType},
		{"PUT", "PUT", "/api/why", why, nil, http.StatusMethodNotAllowed},
		{"DELETE", "DELETE", "/r/slow.pyrr.zip", "", nil, http.StatusMethodNotAllowed},
		{"OPTIONS", "OPTIONS", "/api/why", "", header("Origin", "http://evil.example"), http.StatusMethodNotAllowed},
		{"HEAD", "HEAD", "/", "", nil, http.StatusMethodNotAllowed},
		{"a question by GET", "GET", "/api/list", "", nil, http.StatusNotFound},
		{"no question", "POST", "/api/nonesuch", "{}", nil, http.StatusNotFound},
		{"up", "POST", "/api/why", quote("../outside/slow.pyrr.zip"), nil, http.StatusNotFound},
		{"absolute", "POST", "/api/why", quote(filepath.Join(outside, "slow.pyrr.zip")), nil, http.StatusNotFound},
		{"by a link", "POST", "/api/page", quote("link.pyrr.zip"), nil, http.StatusNotFound},
		{"no recording", "POST", "/api/why", quote("/etc/passwd"), nil, http.StatusNotFound},
		{"nameless", "POST", "/api/why", `{}`, nil, http.StatusNotFound},
		{"long", "POST", "/api/why", `{"recording":"` + strings.Repeat("x", 1<<20) + `"}`, nil, http.StatusRequestEntityTooLarge},
		{"no JSON", "POST", "/api/why", `recording`, nil, http.StatusBadRequest},
		{"more than JSON", "POST", "/api/why", why + why, nil, http.StatusBadRequest},
		{"an unknown argument", "POST", "/api/why", `{"recording":"slow.pyrr.zip","output":"/tmp/x"}`, nil, http.StatusBadRequest},
		{"a flag in a value", "POST", "/api/last", `{"recording":"slow.pyrr.zip","expression":"--history","at":"--json"}`, nil, http.StatusUnprocessableEntity},
		{"no moment", "POST", "/api/at", `{"recording":"slow.pyrr.zip","process":1}`, nil, http.StatusBadRequest},
		{"no such thread", "POST", "/api/at", `{"recording":"slow.pyrr.zip","process":1,"event":3,"thread":99}`, nil, http.StatusUnprocessableEntity},
		{"NUL", "POST", "/api/print", `{"recording":"slow.pyrr.zip","place":"a\u0000b"}`, nil, http.StatusUnprocessableEntity},
	} {
		got, err := s.do(t.Context(), q.method, q.path, q.body, q.change)
		if err != nil || got.status != q.status {
			t.Errorf("%s: %d, not %d: %s %v", q.name, got.status, q.status, got.body, err)
		}
		if q.method != "HEAD" && !strings.Contains(got.body, `{"error":"`) || got.head.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %s %v", q.name, got.body, got.head)
		}
	}
}

// serveTooMany asks more than may run or wait.
func serveTooMany(t *testing.T, s *serving) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var refused atomic.Int32
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			got, err := s.do(ctx, "POST", "/api/print", slowQuestion, nil)
			if err == nil && got.status == http.StatusTooManyRequests {
				refused.Add(1)
			}
		})
	}
	until(t, "some of twelve are refused", func() bool { return refused.Load() > 0 }) // four, unless the machine is slow
	if n := len(s.children()); n > 2 {
		t.Errorf("%d run at once", n)
	}
	cancel()
	all.Wait()
	until(t, "what ran has ended", func() bool { return len(s.children()) == 0 })
	if got := s.post("/api/list", "{}"); got.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// serveClosed goes away while a question is answered.
func serveClosed(t *testing.T, s *serving) {
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		s.do(ctx, "POST", "/api/print", slowQuestion, nil)
		close(gone)
	}()
	until(t, "the question runs", func() bool { return len(s.children()) > 0 })
	cancel()
	<-gone
	until(t, "its replay has ended", func() bool { return len(s.children()) == 0 })
}
