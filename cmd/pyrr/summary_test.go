package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/artifact"
	"pyrr/internal/digest"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/screen"

	"net/http"
	"net/http/httptest"
)

// TestSummaryBounded: of many faults the first are described in full, further ones are only
// named, and the rest is counted; ten become annotations.
func TestSummaryBounded(t *testing.T) {
	var all []*digest.Told
	for i := range 3000 {
		all = append(all, &digest.Told{Test: fmt.Sprintf("test_%d", i), Outcome: "failed", Sentence: "ValueError.", File: "a.py", Line: i + 1, Func: "f",
			Recording: fmt.Sprintf("r%d.pyrr.zip", i), Stacks: strings.Repeat("Py  f  a.py:1  @team `x` ```\n", 100)})
	}
	groups := digest.ByFault(all)
	text := digest.SummaryMarkdown(&digest.Flags{MaxSize: 900 << 10}, groups)
	if len(text) > 900<<10 || len(text) < 800<<10 {
		t.Errorf("%d bytes", len(text))
	}
	whole, named := strings.Count(text, "<details>"), strings.Count(text, "### ")
	if whole < 200 || named <= whole || !strings.Contains(text, fmt.Sprintf("… and %s more faults.", printable.Grouped(uint64(3000-named)))) {
		t.Errorf("%d whole, %d named, the end: %s", whole, named, text[len(text)-300:])
	}
	// Text from recordings stands in blocks of code; their fence is longer than any in the text.
	if strings.Contains(text, "\n```text\nPy") || strings.Contains(text, "`@team") {
		t.Error("text of a recording can end its block")
	}
	var out bytes.Buffer
	digest.AnnotateAll(&screen.UI{Out: &out}, groups)
	if n := strings.Count(out.String(), "::error "); n != 10 {
		t.Errorf("%d annotations", n)
	}
}

func TestCommandGuard(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"::error::x\n", ": :error::x\n"},
		{"  \t::error::x", "  \t: :error::x"},
		{"##[group]x\n", "## [group]x\n"},
		{"a ::b\n", "a ::b\n"},
		{"### heading\n", "### heading\n"},
		{"a\r::set-output::", "a\r: :set-output::"},
		{"[#1]:: ##[\n:x\n", "[#1]:: ##[\n:x\n"},
	} {
		for _, step := range []int{1, 100} { // whatever the size of the pieces in which the text comes
			var out bytes.Buffer
			g := &screen.CommandGuard{W: &out}
			for i := 0; i < len(c.in); i += step {
				if n, err := g.Write([]byte(c.in[i:min(i+step, len(c.in))])); err != nil || n != min(step, len(c.in)-i) {
					t.Fatal(n, err)
				}
			}
			if out.String() != c.want {
				t.Errorf("%q became %q, want %q", c.in, out.String(), c.want)
			}
		}
	}
}

// TestDownload: a URL is fetched without credentials, also where it leads elsewhere,
// and no more than the limit.
func TestDownload(t *testing.T) {
	dir := t.TempDir()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("NETRC", filepath.Join(home, ".netrc"))
	if err := os.WriteFile(filepath.Join(home, ".netrc"), []byte("machine 127.0.0.1 login me password secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen []http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header)
		switch r.URL.Path {
		case "/moved.zip":
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
			http.Redirect(w, r, "/x/../a%2e%2e.zip", http.StatusFound)
		case "/credentials.zip":
			http.Redirect(w, r, "http://me:secret@"+r.Host+"/a.zip", http.StatusFound)
		case "/plain.zip":
			http.Redirect(w, r, "http://127.0.0.1:1/a.zip", http.StatusFound)
		case "/long.zip": // of a length that nobody knows
			w.(http.Flusher).Flush()
			for range 100 {
				_, _ = w.Write(make([]byte, 1<<10))
			}
		case "/private.zip":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			_, _ = w.Write([]byte("PK"))
		}
	}))
	defer server.Close()
	get := func(path string, limit int) (string, error) {
		u := &screen.UI{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}
		return artifact.Download(t.Context(), u, &artifact.Flags{Dir: dir, MaxSize: flagvalue.Size(limit)}, server.URL+path)
	}
	if file, err := get("/moved.zip?signature=secret", 1<<20); err != nil || filepath.Dir(file) != dir {
		t.Errorf("%s, %v", file, err)
	}
	if _, err := get("/long.zip", 50<<10); err == nil || !strings.Contains(err.Error(), "more than --max-size") {
		t.Errorf("too long: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "long.zip")); err == nil {
		t.Error("the file that was too long is there")
	}
	if _, err := get("/private.zip", 1<<20); err == nil || !strings.Contains(fmt.Sprint(hint.Of(err)), "gh run download") {
		t.Errorf("private: %v", err)
	}
	if file, err := get("/..%2f..%2fevil.zip", 1<<20); err == nil && filepath.Dir(file) != dir {
		t.Errorf("written to %s", file)
	}
	if _, err := get("/credentials.zip", 1<<20); err == nil || !strings.Contains(err.Error(), "holds credentials") {
		t.Errorf("to an address with credentials: %v", err)
	}
	for _, h := range seen {
		if h.Get("Authorization") != "" || h.Get("Cookie") != "" || h.Get("Referer") != "" {
			t.Errorf("it sent %v", h)
		}
	}
	tls := httptest.NewTLSServer(server.Config.Handler)
	defer tls.Close()
	before := http.DefaultTransport
	http.DefaultTransport = tls.Client().Transport
	defer func() { http.DefaultTransport = before }()
	u := &screen.UI{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}
	if _, err := artifact.Download(t.Context(), u, &artifact.Flags{Dir: dir, MaxSize: 1 << 20}, tls.URL+"/plain.zip"); err == nil || !strings.Contains(err.Error(), "from TLS to plain text") {
		t.Errorf("from TLS to plain text: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
