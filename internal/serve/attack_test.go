//go:build unix

package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pyrr/internal/setup"
)

// attacked is a server whose program answers each question with nine megabytes, in the
// form of a page.
func attacked(t *testing.T, says, reads time.Duration) *Server {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	script := "#!/bin/sh\n[ \"$1\" = report ] || exit 3\nhead -c 9000000 /dev/zero | tr '\\0' x\necho '</html>'\n"
	folder := filepath.Join(dir, "recordings")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{program: script, filepath.Join(folder, "a.pyrr.zip"): "no recording"} {
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(Options{Root: folder, Program: program}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.says, s.reads = says, reads
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// say opens a connection, with a small room for answers, and says something.
func say(t *testing.T, s *Server, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// question is the text of a request for a page, with a body of so many bytes fewer.
func (s *Server) question(token string, short int) string {
	body := `{"recording":"a.pyrr.zip"}`
	return fmt.Sprintf("POST /api/page HTTP/1.1\r\nHost: %s\r\nPyrr-Token: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		s.addr, token, len(body), body[:len(body)-short])
}

// TestAttacks holds what a stranger's bytes get: nothing of a recording, whatever they
// say, and an end.
func TestAttacks(t *testing.T) {
	s := attacked(t, setup.Patience(500*time.Millisecond), time.Minute)
	_, port, _ := net.SplitHostPort(s.addr)
	post := func(host, target, head, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", target, host, head, len(body), body)
	}
	const why = `{"recording":"a.pyrr.zip"}`
	known := "Pyrr-Token: " + s.token + "\r\n"
	for _, a := range []struct{ name, text, want string }{
		{"no port", post("127.0.0.1", "/api/page", known, why), "421 "},
		{"another port", post("127.0.0.1:1", "/api/page", known, why), "421 "},
		{"a name that leads here", post("127.0.0.1.nip.example:"+port, "/api/page", known, why), "421 "},
		{"a name that ends like it", post("evil-localhost:"+port, "/api/page", known, why), "421 "},
		{"another loopback", post("127.0.0.2:"+port, "/api/page", known, why), "421 "},
		{"version 6", post("[::1]:"+port, "/api/page", known, why), "421 "},
		{"no host", "GET / HTTP/1.0\r\n\r\n", "421 "},
		{"two hosts", "GET / HTTP/1.1\r\nHost: " + s.addr + "\r\nHost: evil.example\r\n\r\n", "400 "},
		{"a whole address in place of a path", "GET http://evil.example/ HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n", "421 "},
		{"no token", post(s.addr, "/api/page", "", why), "401 "},
		{"an empty token", post(s.addr, "/api/page", "Pyrr-Token: \r\n", why), "401 "},
		{"a part of the token", post(s.addr, "/api/page", "Pyrr-Token: "+s.token[:31]+"\r\n", why), "401 "},
		{"a wrong token, then the right one", post(s.addr, "/api/page", "Pyrr-Token: x\r\n"+known, why), "401 "},
		{"the token in the query", post(s.addr, "/api/page?token="+s.token, "", why), "400 "},
		{"the token in a cookie", post(s.addr, "/api/page", "Cookie: Pyrr-Token="+s.token+"\r\n", why), "401 "},
		{"the token as a bearer's", post(s.addr, "/api/page", "Authorization: Bearer "+s.token+"\r\n", why), "401 "},
		{"the token in the body", post(s.addr, "/api/page", "", `{"recording":"a.pyrr.zip","Pyrr-Token":"`+s.token+`"}`), "401 "},
		{"another origin", post(s.addr, "/api/page", known+"Origin: http://evil.example\r\n", why), "403 "},
		{"the origin of another port", post(s.addr, "/api/page", known+"Origin: http://127.0.0.1:1\r\n", why), "403 "},
		{"another scheme", post(s.addr, "/api/page", known+"Origin: https://"+s.addr+"\r\n", why), "403 "},
		{"an origin that is none", post(s.addr, "/api/page", known+"Origin: null\r\n", why), "403 "},
		{"the same site, another origin", post(s.addr, "/api/page", known+"Sec-Fetch-Site: same-site\r\n", why), "403 "},
		{"a path outside, in an address", post(s.addr, "/api/../../etc/passwd", known, why), "404 "},
		{"a path outside, encoded", post(s.addr, "/api/%2e%2e/%2e%2e/etc/passwd", known, why), "404 "},
		{"a path outside, as a recording", post(s.addr, "/api/page", known, `{"recording":"../program"}`), "404 "},
		{"the root", post(s.addr, "/api/page", known, `{"recording":"."}`), "404 "},
		{"a path with a NUL", post(s.addr, "/api/page", known, `{"recording":"a.pyrr.zip\u0000"}`), "404 "},
		{"a long path", "GET /" + strings.Repeat("a", 10_000) + " HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n", "400 "},
		{"long headers", "GET / HTTP/1.1\r\nHost: " + s.addr + "\r\nX: " + strings.Repeat("a", 100_000) + "\r\n\r\n", "431 "},
		{"a body that never comes", s.question(s.token, 5), "400 "},
		{"a body that never comes, of a stranger", s.question("x", 5), "401 "},
		{"half a header", "GET / HTTP/1.1\r\nHost: ", ""},
		{"no request", "\x16\x03\x01\x00\x05hello\r\n\r\n", "400 "},
		{"the page, which knows nothing", "GET /r/../../etc/passwd HTTP/1.1\r\nHost: " + s.addr + "\r\nConnection: close\r\n\r\n", "200 "},
	} {
		c := say(t, s, a.text)
		c.SetReadDeadline(time.Now().Add(5 * time.Minute)) // it is the server who ends it
		got, err := io.ReadAll(c)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("%s: the connection stays: %v", a.name, err)
		}
		line, _, _ := strings.Cut(string(got), "\r\n")
		if a.want != "" && !strings.Contains(line, " "+a.want) || a.want == "" && line != "" {
			t.Errorf("%s: %q, not %s", a.name, line, a.want)
		}
		if strings.Contains(string(got), strings.Repeat("x", 99)) || strings.Contains(string(got), s.token) || strings.Contains(string(got), "root:x:0") {
			t.Errorf("%s: it gets %.300q", a.name, got)
		}
	}
}

// TestNeverReads asks for many long answers and reads none: those end, and others are
// answered.
func TestNeverReads(t *testing.T) {
	s := attacked(t, time.Minute, 300*time.Millisecond)
	for range mostAsked {
		say(t, s, s.question(s.token, 0))
	}
	deadline := time.Now().Add(5 * time.Minute)
	for len(s.open) == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	for len(s.open) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d answers wait for their readers", len(s.open))
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.answers(t)
}

// answers holds that somebody who reads gets a page.
func (s *Server) answers(t *testing.T) {
	t.Helper()
	for range 50 { // of a machine that is busy the answer may be read too slowly
		c := say(t, s, s.question(s.token, 0))
		c.(*net.TCPConn).SetReadBuffer(1 << 20)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			continue
		}
		n, err := io.Copy(io.Discard, r.Body)
		if r.StatusCode == http.StatusOK && err == nil && n == 9_000_008 {
			return
		}
	}
	t.Error("nobody is answered any more")
}

// TestThousand asks a thousand things at once, with the token and without: each is
// answered or refused, no more run or wait than may, and the server goes on.
func TestThousand(t *testing.T) {
	s := attacked(t, time.Minute, time.Minute)
	var all sync.WaitGroup
	var status [600]atomic.Int32
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var most atomic.Int32
	for i := range 1000 {
		all.Go(func() {
			r, err := http.NewRequest("POST", "http://"+s.addr+"/api/list", strings.NewReader("{}"))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Content-Type", "application/json")
			if i%2 == 0 {
				r.Header.Set("Pyrr-Token", s.token)
			}
			got, err := client.Do(r)
			if err != nil {
				t.Errorf("no answer: %v", err)
				return
			}
			io.Copy(io.Discard, got.Body)
			got.Body.Close()
			status[got.StatusCode].Add(1)
			most.Store(max(most.Load(), int32(len(s.open))))
		})
	}
	all.Wait()
	if status[http.StatusUnauthorized].Load() != 500 {
		t.Errorf("%d of 500 without a token are refused for that", status[http.StatusUnauthorized].Load())
	}
	// The program answers no list: what is not refused fails.
	if n := status[http.StatusTooManyRequests].Load() + status[http.StatusUnprocessableEntity].Load(); n != 500 {
		t.Errorf("%d of 500 with the token are answered", n)
	}
	if n := most.Load(); n > mostOpen {
		t.Errorf("%d questions were open at once", n)
	}
	s.answers(t)
}
