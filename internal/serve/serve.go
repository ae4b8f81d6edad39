// Package serve shows recordings to a browser on this machine (pyrr serve): the page of
// pyrr report, in which any moment's stacks and variables come by a replay when they
// are looked at, and a list of a folder's recordings.
//
// It listens on loopback and writes nothing. What a GET gives is the same for every
// recording and holds nothing of any: the script in it asks by POST, with a token that
// the browser knows from the fragment of the address, which is sent to nobody. Each
// question is a command of pyrr in a process of its own (package served), bounded in
// number, time, memory and output, that ends when the page that asked is closed.
//
// Begin with New; api.go has the questions.
package serve

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"pyrr/internal/page"
	"pyrr/internal/served"
)

// Options say what is served and within which bounds.
type Options struct {
	// Root is a recording or a folder of recordings, Program the executable of pyrr.
	Root, Program string
	// Limit ends a question that takes longer, 0 stands for a minute; Memory one that
	// takes more bytes, 0 stands for 2 GiB.
	Limit  time.Duration
	Memory int64
}

// Bounds of what is asked: commands that run at once, and that run or wait; questions
// whose answers are not read to the end, and connections; bytes of a question and of its
// headers; for how long who asks may take to say it, and to read the answer.
const (
	atOnce     = 2
	mostAsked  = 8
	mostOpen   = 24
	mostConns  = 128
	maxBody    = 16 << 10
	maxHeaders = 16 << 10
	bodyTime   = 10 * time.Second
	answerTime = 30 * time.Second
)

// Server serves one root.
type Server struct {
	root   *served.Root
	runner *served.Runner
	token  string
	addr   string // HOST:PORT that it listens at
	shell  []byte
	listen net.Listener
	open   chan struct{} // questions whose answers are not read to the end
	// For how long who asks may take to say it, and to read the answer.
	says, reads time.Duration
}

// New makes a server that listens at a port of 127.0.0.1, 0 for any that is free.
func New(o Options, port int) (*Server, error) {
	o.Limit, o.Memory = cmp.Or(o.Limit, served.Limit), cmp.Or(o.Memory, served.Memory)
	root, err := served.OpenRoot(o.Root)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 24)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Unwrap()
		}
		if sys, ok := errors.AsType[*os.SyscallError](err); ok {
			err = sys.Err
		}
		return nil, fmt.Errorf("can't listen at port %d of this machine: %w", port, err)
	}
	s := &Server{root: root, runner: served.NewRunner(o.Program, o.Limit, atOnce, mostAsked), token: base64.RawURLEncoding.EncodeToString(secret),
		addr: l.Addr().String(), shell: page.Shell(), listen: few(l, mostConns), open: make(chan struct{}, mostOpen),
		says: bodyTime, reads: answerTime}
	s.runner.Memory = o.Memory
	return s, nil
}

// URL is the address to open. Its fragment holds the token, which a browser sends to
// nobody.
func (s *Server) URL() string { return "http://" + s.addr + "/#token=" + s.token }

// Run serves until ctx is done, and ends what was asked with it.
func (s *Server) Run(ctx context.Context) error {
	h := &http.Server{Handler: s, ReadHeaderTimeout: s.says, IdleTimeout: s.says, MaxHeaderBytes: maxHeaders,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: quiet}
	stop := context.AfterFunc(ctx, func() { h.Close() })
	defer stop()
	if err := h.Serve(s.listen); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	// What runs ends with ctx; it is gone before the server is.
	s.runner.Wait()
	return nil
}

// refusal is an answer that something was not done.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	for k, v := range headers {
		head.Set(k, v)
	}
	// Whoever it is: they say it, and read the answer, within some time. A question that
	// was read takes as long as its command (read, in api.go).
	c := http.NewResponseController(w)
	if err := errors.Join(c.SetReadDeadline(time.Now().Add(s.says)), c.SetWriteDeadline(time.Now().Add(s.reads))); err != nil {
		return // the connection is gone
	}
	if err := s.answer(w, r); err != nil {
		var no *refusal
		if !errors.As(err, &no) {
			no = &refusal{http.StatusInternalServerError, err.Error()}
		}
		head.Set("Connection", "close") // what else it was going to say is not waited for
		writeJSON(w, no.status, map[string]string{"error": no.text})
	}
}

// headers are what every answer has. The script and the style are permitted by their
// hashes, questions to this server alone.
var headers = map[string]string{
	"Content-Security-Policy":      page.LivePolicy(),
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
	"Permissions-Policy":           "camera=(), microphone=(), geolocation=()",
	"Cache-Control":                "no-store",
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) error {
	// A name of somebody else's that leads to this machine (DNS rebinding) would give
	// its page the rights of this server's.
	if !s.ours(r.Host) {
		return refuse(http.StatusMisdirectedRequest, "this server is %s, not %q", s.addr, r.Host)
	}
	if r.URL.RawQuery != "" || len(r.URL.Path) > 4096 {
		return refuse(http.StatusBadRequest, "an address here has no query")
	}
	switch r.Method {
	case http.MethodGet:
		if r.URL.Path != "/" && !strings.HasPrefix(r.URL.Path, "/r/") {
			return refuse(http.StatusNotFound, "there is no %s", r.URL.Path)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, err := w.Write(s.shell)
		return ignore(err)
	case http.MethodPost:
		if err := s.allowed(r); err != nil {
			return err
		}
		q, ok := questions[r.URL.Path]
		if !ok {
			return refuse(http.StatusNotFound, "there is no %s", r.URL.Path)
		}
		select {
		case s.open <- struct{}{}:
			defer func() { <-s.open }()
			return q(s, w, r)
		default:
			return refuse(http.StatusTooManyRequests, "too many questions at once: read the answers")
		}
	}
	w.Header().Set("Allow", "GET, POST")
	return refuse(http.StatusMethodNotAllowed, "GET and POST alone, not %s", r.Method)
}

// ours tells the names of this server: its address, and localhost with its port.
func (s *Server) ours(host string) bool {
	_, port, err := net.SplitHostPort(s.addr)
	return err == nil && (host == s.addr || host == "localhost:"+port)
}

// allowed holds that a question comes from a page of this server's that has the token.
func (s *Server) allowed(r *http.Request) error {
	if origin := r.Header.Get("Origin"); origin != "" {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" || u.Host != r.Host {
			return refuse(http.StatusForbidden, "questions come from this server's own page")
		}
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return refuse(http.StatusForbidden, "questions come from this server's own page")
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("Pyrr-Token")), []byte(s.token)) != 1 {
		return refuse(http.StatusUnauthorized, "the token is not that of this server: open the address that pyrr serve printed")
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		return refuse(http.StatusUnsupportedMediaType, "a question is JSON")
	}
	return nil
}
