package assert

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/goldentest"
	"pyrr/internal/stack"
)

const goldenSpec = `version: 1
recording: rec.pyrr.zip
expect:
  - recv at urllib3/connection.py:504 as recv
golden:
  - at: recv
    file: golden/recv.stack
`

const recvGolden = `# recv  thread worker
Py  SocketIO.readinto                 socket.py:706                     return self._sock.recv_into(b)
Py  HTTPResponse.begin                http/client.py:318                version, status, reason = self._read_status()
Py  HTTPConnection.getresponse        urllib3/connection.py:504         httplib_response = super().getresponse()
Py  HTTPConnectionPool._make_request  urllib3/connectionpool.py:536     response = conn.getresponse()
Py  get                               requests/api.py:73                return request("get", url, \*\*kwargs)
`

// sources is what the lines of slowHTTP's stacks say.
func sources(file string, line int) (string, bool) {
	text, ok := map[string]string{
		lib + "socket.py":                   "return self._sock.recv_into(b)",
		lib + "http/client.py":              "version, status, reason = self._read_status()",
		site + "urllib3/connection.py":      "httplib_response = super().getresponse()",
		site + "urllib3/connectionpool.py":  "   response =  conn.getresponse()",
		site + "requests/api.py":            `return request("get", url, **kwargs)`,
		lib + "threading.py":                "self._wait_for_tstate_lock()",
		"/proj/app.py":                      "worker.join()",
		site + "urllib3/util/connection.py": "sock.connect(sa)",
	}[file]
	return text, ok
}

// edited is the golden with one text replaced.
func edited(old, new string) string {
	if !strings.Contains(recvGolden, old) {
		panic(old)
	}
	return strings.Replace(recvGolden, old, new, 1)
}

// goldenCases are goldens, and what comes of them beside one recording.
var goldenCases = []struct {
	name    string
	golden  string // "" for none
	spec    func(string) string
	change  func(f *fake)
	text    stack.SourceText
	verdict Verdict
	got     string
	notes   []string
	// accepted is what Accept leaves in the file, where that changes.
	accepted string
}{
	{name: "equal", golden: recvGolden, verdict: Pass},
	{name: "missing", verdict: Fail, got: "there is no DIR/golden/recv.stack yet", accepted: recvGolden},
	{name: "other text", golden: edited("_read_status()", "_read()"), verdict: Fail, got: "DIR/golden/recv.stack differs at frame 1 of 5", accepted: recvGolden},
	{name: "other function", golden: edited("_make_request", "urlopen"), verdict: Fail, got: "DIR/golden/recv.stack differs at frame 3 of 5", accepted: recvGolden},
	{name: "frame gone", golden: edited("Py  HTTPResponse.begin                http/client.py:318                version, status, reason = self._read_status()\n", ""),
		verdict: Fail, got: "DIR/golden/recv.stack differs at frame 1 of 4", accepted: recvGolden},
	{name: "frame more", golden: recvGolden + "Py  main                              app.py:3\n", verdict: Fail, got: "DIR/golden/recv.stack differs at frame 5 of 6", accepted: recvGolden},
	{name: "swapped frames", golden: edited("Py  SocketIO.readinto                 socket.py:706                     return self._sock.recv_into(b)\nPy  HTTPResponse.begin                http/client.py:318                version, status, reason = self._read_status()\n",
		"Py  HTTPResponse.begin                http/client.py:318                version, status, reason = self._read_status()\nPy  SocketIO.readinto                 socket.py:706                     return self._sock.recv_into(b)\n"),
		verdict: Fail, got: "DIR/golden/recv.stack differs at frame 0 of 5", accepted: recvGolden},
	{name: "moved", golden: edited(":504", ":510"), verdict: Pass, notes: []string{"1 frame moved to another line, with the same text"}},
	{name: "moved, but exact", golden: edited(":504", ":510"), spec: func(s string) string { return s + "    lines: exact\n" },
		verdict: Fail, got: "DIR/golden/recv.stack differs at frame 2 of 5", accepted: recvGolden},
	{name: "wildcards", golden: "# recv\nPy  *.readinto  socket.py:*\n…\nPy  get  requests/api.py:73  return request(*)\n", verdict: Pass},
	{name: "wildcards kept", golden: "# recv\nPy  *.readinto  socket.py:*\n…\nPy  post  requests/api.py:73  return request(*)\n", verdict: Fail,
		got:      "DIR/golden/recv.stack differs at frame 1 of 2",
		accepted: "# recv  thread worker\nPy  *.readinto                        socket.py:*\n…\nPy  get                               requests/api.py:73                return request(\"get\", url, \\*\\*kwargs)\n"},
	{name: "no sources", golden: recvGolden, text: func(string, int) (string, bool) { return "", false }, verdict: Pass,
		notes: []string{"source not at hand for 5 frames: the line number decided"}},
	{name: "no sources, another line", golden: edited(":504", ":505"), text: func(string, int) (string, bool) { return "", false }, verdict: Fail,
		got: "DIR/golden/recv.stack differs at frame 2 of 5", notes: []string{"source not at hand for 4 frames: the line number decided"},
		accepted: strings.Replace(recvGolden, "         httplib_response = super().getresponse()", "", 1)},
	{name: "no sources and any line", golden: edited(":504", ":*"), text: func(string, int) (string, bool) { return "", false }, verdict: Unjudged,
		got:   "the golden gives the source text of 1 frame but any line, and the source is not at hand",
		notes: []string{"source not at hand for 4 frames: the line number decided"}},
	{name: "another thread", golden: edited("worker", "other"), verdict: Fail, got: "DIR/golden/recv.stack is about another thread: worker", accepted: recvGolden},
	{name: "no thread", golden: edited("  thread worker", ""), verdict: Pass},
	{name: "damaged", golden: "Px  a\n", verdict: Broken,
		got: `DIR/golden/recv.stack:1:1: a line begins with Py, C, … or #, and fields are two blanks apart, not "Px"`, accepted: recvGolden},
	{name: "event not found", golden: recvGolden, spec: func(s string) string { return strings.Replace(s, ":504", ":505", 1) },
		verdict: Unjudged, got: "recv found no event"},
	{name: "stack cut short", golden: recvGolden, change: func(f *fake) { f.stacks[8].Python.Frames[4].Err = "bad pointer" },
		verdict: Unjudged, got: "the stack could not be read whole: bad pointer"},
	{name: "stack cut short where the golden is open", golden: "# recv\nPy  SocketIO.readinto  socket.py:706\nPy  HTTPResponse.begin  http/client.py:318\n…\n",
		change: func(f *fake) { f.stacks[8].Python.Frames[2].Err = "bad pointer" }, verdict: Pass},
	{name: "stack cut short where the golden is open, but differs", golden: "# recv\nPy  SocketIO.readinto  socket.py:706\nPy  HTTPResponse.end  http/client.py:318\n…\n",
		change: func(f *fake) { f.stacks[8].Python.Frames[2].Err = "bad pointer" }, verdict: Fail, got: "DIR/golden/recv.stack differs at frame 1 of 2",
		accepted: "# recv  thread worker\nPy  SocketIO.readinto                 socket.py:706\nPy  HTTPResponse.begin                http/client.py:318                version, status, reason = self._read_status()\n…\n"},
	{name: "C stacks", golden: recvGolden, spec: func(s string) string { return s + "    stacks: [python, c]\n" },
		change: func(f *fake) {
			s := f.stacks[8]
			s.Full = nil
			f.stacks[8] = s
		},
		verdict: Unjudged, got: "needs C stacks, which were not read"},
	{name: "C stacks there", golden: "C   __libc_recv  libc.so.6\n", spec: func(s string) string { return s + "    stacks: c\n" },
		change: func(f *fake) {
			s := f.stacks[8]
			full := s.Python
			full.Frames = append([]stack.Frame{{Kind: stack.C, Func: "__libc_recv@@GLIBC", Module: "/lib/x/libc.so.6", Offset: 7}}, full.Frames...)
			s.Full = &full
			f.stacks[8] = s
		}, verdict: Pass},
	{name: "at the end of the main thread", golden: "# end\nPy  Thread.join  threading.py:1112\nPy  <module>  app.py:20\n", spec: func(s string) string { return strings.Replace(s, "at: recv", "at: end", 1) },
		verdict: Pass},
	{name: "at the end of all threads", golden: "# end 2\n" + strings.SplitN(recvGolden, "\n", 2)[1] + "# end 1\nPy  Thread.join  threading.py:1112\n…\n",
		spec: func(s string) string { return strings.Replace(s, "at: recv", "at: end\n    threads: all", 1) }, verdict: Pass},
	{name: "at the end, a thread too many", golden: "# end  thread worker\n…\n",
		spec:    func(s string) string { return strings.Replace(s, "at: recv", "at: end\n    threads: all", 1) },
		verdict: Fail, got: "DIR/golden/recv.stack does not have the thread MainThread",
		accepted: "# end 1  thread MainThread\nPy  Thread.join                       threading.py:1112                 self._wait_for_tstate_lock()\nPy  <module>                          app.py:20                         worker.join()\n\n# end 2  thread worker\n…\n"},
	{name: "at the end, a thread missing", golden: "# a  thread worker\n…\n\n# b  thread MainThread\n…\n\n# c  thread third\n…\n",
		spec:    func(s string) string { return strings.Replace(s, "at: recv", "at: end\n    threads: all", 1) },
		verdict: Fail, got: "DIR/golden/recv.stack has a thread that is not there: third",
		accepted: "# end 1  thread MainThread\n…\n\n# end 2  thread worker\n…\n"},
	{name: "at the end of one thread", golden: recvGolden, spec: func(s string) string { return strings.Replace(s, "at: recv", "at: end\n    threads: worker", 1) }, verdict: Pass},
	{name: "at the end of no thread", golden: recvGolden, spec: func(s string) string { return strings.Replace(s, "at: recv", "at: end\n    threads: third", 1) },
		verdict: Fail, got: "there is no thread third at the end"},
	{name: "at the end of a cut recording", golden: recvGolden, change: cutShort, spec: func(s string) string { return strings.Replace(s, "at: recv", "at: end", 1) },
		verdict: Unjudged, got: "the recording was cut: killed"},
}

func TestGolden(t *testing.T) {
	t.Setenv("CI", "")
	for _, tt := range goldenCases {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "golden/recv.stack")
			if tt.golden != "" {
				goldentest.Write(t, file, tt.golden)
			}
			f := slowHTTP()
			if tt.change != nil {
				tt.change(f)
			}
			spec := goldenSpec
			if tt.spec != nil {
				spec = tt.spec(spec)
			}
			text := stack.SourceText(sources)
			if tt.text != nil {
				text = tt.text
			}
			opts := Options{SourceText: text}
			specs := specIn(t, dir, spec)
			run := check(t, specs, f, opts)
			c := run.Specs[0].Checks[1]
			got := strings.ReplaceAll(c.Got, dir, "DIR")
			if c.Verdict != tt.verdict || got != tt.got {
				t.Errorf("%s: %q\nwant %s: %q", c.Verdict, got, tt.verdict, tt.got)
			}
			if diff := cmp.Diff(tt.notes, c.Notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			written, err := Accept(run, AcceptOptions{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			if (len(written) > 0) != (tt.accepted != "") {
				t.Errorf("accept wrote %+v", written)
			}
			if tt.accepted == "" {
				return
			}
			after, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.accepted, string(after)); diff != "" {
				t.Errorf("accepted (-want +got):\n%s", diff)
			}
			f = slowHTTP()
			if tt.change != nil {
				tt.change(f)
			}
			if c := check(t, specs, f, opts).Specs[0].Checks[1]; c.Verdict != Pass {
				t.Errorf("after accept: %s %s", c.Verdict, c.Got)
			}
		})
	}
}

func TestAcceptMoved(t *testing.T) {
	t.Setenv("CI", "false")
	dir := t.TempDir()
	file := filepath.Join(dir, "golden/recv.stack")
	goldentest.Write(t, file, strings.Replace(recvGolden, ":504", ":510", 1))
	run := check(t, specIn(t, dir, goldenSpec), slowHTTP(), Options{SourceText: sources})
	if written, err := Accept(run, AcceptOptions{Create: true}); err != nil || len(written) != 0 {
		t.Errorf("%v %v", written, err)
	}
	if written, err := Accept(run, AcceptOptions{Moved: true}); err != nil || len(written) != 1 || written[0].Created {
		t.Errorf("%v %v", written, err)
	}
	if after, _ := os.ReadFile(file); string(after) != recvGolden {
		t.Errorf("%s", after)
	}
}

func TestAcceptInCI(t *testing.T) {
	t.Setenv("CI", "true")
	dir := t.TempDir()
	run := check(t, specIn(t, dir, goldenSpec), slowHTTP(), Options{SourceText: sources})
	if _, err := Accept(run, AcceptOptions{Create: true}); !errors.Is(err, ErrInCI) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "golden")); err == nil {
		t.Error("something was written")
	}
	if written, err := Accept(run, AcceptOptions{InCI: true, Create: true}); err != nil || len(written) != 1 || !written[0].Created {
		t.Errorf("%v %v", written, err)
	}
}

// TestAcceptConflict: two recordings of one spec with different stacks can't
// share a golden.
func TestAcceptConflict(t *testing.T) {
	t.Setenv("CI", "")
	dir := t.TempDir()
	goldentest.Write(t, filepath.Join(dir, "a.zip"), "")
	goldentest.Write(t, filepath.Join(dir, "b.zip"), "")
	specs := specIn(t, dir, strings.Replace(goldenSpec, "rec.pyrr.zip", "'?.zip'", 1))
	open := func(path string) (Source, error) {
		f := slowHTTP()
		if filepath.Base(path) == "b.zip" {
			f.stacks[8].Python.Frames[0].Func = "other"
		}
		return f, nil
	}
	run, err := Check(t.Context(), specs, open, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Accept(run, AcceptOptions{Create: true})
	want := "accept DIR/golden/recv.stack: DIR/a.zip and DIR/b.zip have different stacks; give each a golden of its own by a parameter"
	if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "golden")); err == nil {
		t.Error("something was written")
	}
}

func TestUnusedGoldens(t *testing.T) {
	dir := t.TempDir()
	specs := specIn(t, dir, goldenSpec)
	goldentest.Write(t, filepath.Join(dir, "golden/recv.stack"), recvGolden)
	goldentest.Write(t, filepath.Join(dir, "golden/old.stack"), recvGolden)
	goldentest.Write(t, filepath.Join(dir, "golden/README"), "")
	goldentest.Write(t, filepath.Join(dir, "golden/beside.stack"), recvGolden)
	goldentest.Write(t, filepath.Join(dir, "beside.yaml"), strings.Replace(goldenSpec, "recv.stack", "beside.stack", 1))
	want := []string{filepath.Join(dir, "golden/old.stack")}
	run := check(t, specs, slowHTTP(), Options{SourceText: sources})
	if diff := cmp.Diff(want, run.Unused); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if run.Outcome() != OutcomeBroken {
		t.Errorf("outcome %v", run.Outcome())
	}
	goldentest.Write(t, filepath.Join(dir, "beside.yaml"), "version: [")
	if got := UnusedGoldens(specs); got != nil {
		t.Errorf("unused beside a spec that can't be read: %v", got)
	}
}
