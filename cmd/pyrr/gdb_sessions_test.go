package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/probe"
)

// gdbPython is the interpreter that debug information is installed for.
const gdbPython = "/usr/bin/python3.11"

// gdbPrograms are programs whose native run takes the same way each time.
var gdbPrograms = map[string]string{
	"extensions": `import zlib, struct, json, binascii
data = json.dumps({"a": [1, 2.5, None]}).encode() * 20
for level in (1, 6, 9):
    packed = zlib.compress(data, level)
    zlib.decompress(packed), zlib.crc32(packed), zlib.adler32(packed)
print(struct.pack("<id", 3, 0.5), int("123456789012345678901234567890"), binascii.hexlify(b"x"))
`,
	"sockets": `import socket
srv = socket.socket()
srv.bind(("127.0.0.1", 0))
srv.listen(2)
for n in range(3):
    c = socket.create_connection(srv.getsockname())
    s, _ = srv.accept()
    c.send(b"hello %d" % n)
    s.recv(100)
    s.close(), c.close()
`,
	"sqlite": `import sqlite3
db = sqlite3.connect(":memory:")
db.execute("create table t (a integer, b text)")
for n in range(3):
    db.execute("insert into t values (?, ?)", (n, "row %d" % n))
print(db.execute("select a, b from t order by b").fetchall())
db.close()
`,
	"threads": `import threading, signal, os
signal.signal(signal.SIGUSR1, lambda *a: None)
lock = threading.Lock()
def work(n):
    with lock:
        return sum(range(n))
for n in range(3):
    t = threading.Thread(target=work, args=(n,))
    t.start()
    t.join()
os.kill(os.getpid(), signal.SIGUSR1)
`,
}

// gdbFunctions are the C functions at which the sessions of each program
// stop: what an extension of Python's calls, each more than once.
var gdbFunctions = []struct{ program, function string }{
	{"extensions", "deflateInit2_"}, {"extensions", "deflate"}, {"extensions", "inflate"}, {"extensions", "deflateEnd"}, {"extensions", "inflateInit2_"},
	{"sockets", "connect"}, {"sockets", "send"}, {"sockets", "recv"}, {"sockets", "getaddrinfo"}, {"sockets", "inet_pton"},
	{"sqlite", "sqlite3_bind_text"}, {"sqlite", "sqlite3_step"}, {"sqlite", "sqlite3_bind_int64"}, {"sqlite", "sqlite3_finalize"},
	{"threads", "sem_init"}, {"threads", "pthread_create"},
}

// gdbSessions are the commands given there. RUN stands for run, or for continue in a
// recording; F is the function. Each line's answer is compared with the native one.
var gdbSessions = []struct {
	name  string
	lines []string
	// back leads back to where an earlier line was; again is asked there, and
	// must be answered as the line with that number was.
	back  []string
	again map[string]int
}{
	{"break", []string{"break F", "RUN", "bt -frame-arguments none 6", "info registers", "continue", "bt -frame-arguments none 4", "continue", "bt -frame-arguments none 3", "info breakpoints"},
		[]string{"reverse-continue", "reverse-continue"}, map[string]int{"bt -frame-arguments none 6": 2, "info registers": 3}},
	{"finish", []string{"tbreak F", "RUN", "p $_thread", "info registers", "finish", "bt -frame-arguments none 1"},
		[]string{"break F", "reverse-continue"}, map[string]int{"p $_thread": 2, "info registers": 3}},
	{"condition", []string{"break F if $_thread == 1", "ignore 1 1", "RUN", "info registers", "info breakpoints", "info symbol $pc"},
		[]string{"stepi", "reverse-stepi"}, map[string]int{"info registers": 3, "info symbol $pc": 5}},
	{"steps", []string{"tbreak F", "RUN", "info registers", "stepi 3", "info symbol $pc", "nexti", "x/i $pc", "up", "info frame"},
		[]string{"reverse-stepi", "reverse-stepi", "reverse-stepi", "reverse-stepi"}, map[string]int{"info registers": 2}},
}

// gdbLocal are lines whose answers have addresses of that run in them: they are only
// asked again after going back, not compared with the native run.
var gdbLocal = regexp.MustCompile(`^(info registers|info frame)`)

func gdbRun(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	cmd.Env = append(append(os.Environ(), cmd.Env...), "PYTHONHASHSEED=0", "DEBUGINFOD_URLS=", "LC_ALL=C")
	done := make(chan struct{})
	var out []byte
	var err error
	go func() { out, err = cmd.CombinedOutput(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Minute):
		cmd.Process.Kill()
		<-done
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// gdbAnswers runs a session and returns the answer to each line.
func gdbAnswers(t *testing.T, cmd *exec.Cmd, lines []string) []string {
	t.Helper()
	for i, l := range lines {
		cmd.Args = append(cmd.Args, "-ex", l, "-ex", fmt.Sprintf(`echo @@%d\n`, i))
	}
	cmd.Args = append(cmd.Args, "-ex", "quit")
	out := gdbRun(t, cmd)
	if _, rest, ok := strings.Cut(out, "@@start\n"); ok {
		out = rest
	}
	var answers []string
	for i := range lines {
		a, rest, ok := strings.Cut(out, fmt.Sprintf("@@%d\n", i))
		if !ok {
			// In batch mode gdb does not run the lines after one that failed.
			t.Fatalf("no answer to %q\n%s", lines[i], out)
		}
		answers, out = append(answers, a), rest
	}
	return answers
}

var (
	gdbNoise = regexp.MustCompile(`(?m)^(Will ignore|\(More stack frames|\[New |\[Thread|\[Switching|\[Detaching|Using host|warning:|Continuing|Starting program|Reading |Remote debugging|Run till exit|This GDB|Enable debug|Debuginfod|To make this|.*libthread_db).*\n?`)
	gdbHit   = regexp.MustCompile(`(Thread \d+ "[^"]*" |Program )(hit |received )`)
	gdbValue = regexp.MustCompile(`^\$\d+ = `)
	gdbSpace = regexp.MustCompile(`[ \t]+`)
	gdbHex   = regexp.MustCompile(`0x[0-9a-f]+`)
)

// plainGDB takes out of an answer what differs between any two runs:
// addresses, and gdb's remarks.
func plainGDB(s string) string {
	s = gdbNoise.ReplaceAllString(s, "")
	s = gdbHit.ReplaceAllString(s, "")
	s = gdbHex.ReplaceAllString(s, "0x")
	s = strings.ReplaceAll(s, "target:/", "/")
	s = gdbSpace.ReplaceAllString(s, " ")
	return strings.Trim(s, "\n")
}

// requireGDB skips a test where gdb, or a Python with debug information for it, is missing.
func requireGDB(t *testing.T) {
	t.Helper()
	probe.Require(t)
	for _, need := range []string{gdbPython, "/usr/bin/gdb"} {
		if _, err := os.Stat(need); err != nil {
			t.Skip(err)
		}
	}
}

// TestGDBSessions compares gdb on a recording with gdb on the program itself, and
// the answers on the way back with those on the way forwards.
func TestGDBSessions(t *testing.T) {
	t.Parallel()
	requireGDB(t)
	dir := t.TempDir()
	// Debug information is not the same on all machines.
	if err := os.WriteFile(filepath.Join(dir, ".gdbinit"), []byte("set debug-file-directory /nowhere\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	recordings := map[string]string{}
	sessions := 0
	for i, f := range gdbFunctions {
		for j, s := range gdbSessions {
			// A few sessions, each with a different program and of a different kind.
			if os.Getenv("PYRR_E2E") != "full" && (i != []int{1, 6, 11, 14}[j]) {
				continue
			}
			if f.function == "connect" && s.name == "steps" {
				continue // steps lead to the system call, in place of which a recording has the recorder's code
			}
			sessions++
			t.Run(f.program+"/"+f.function+"/"+s.name, func(t *testing.T) {
				script := filepath.Join(dir, f.program+".py")
				rec := recordings[f.program]
				if rec == "" {
					rec = filepath.Join(dir, f.program+".pyrr.zip")
					recordForGDB(t, f.program, script, rec)
					recordings[f.program] = rec
				}
				lines := func(run string, list []string) []string {
					var out []string
					for _, l := range list {
						l = strings.ReplaceAll(l, "RUN", run)
						if !strings.HasPrefix(l, "info") {
							l = regexp.MustCompile(`\bF\b`).ReplaceAllString(l, f.function)
						}
						out = append(out, l)
					}
					return out
				}
				common := []string{"-nx", "-q", "-iex", "set pagination off", "-iex", "set confirm off", "-iex", "set width 0", "-iex", "set breakpoint pending on", "-iex", "set debug-file-directory /nowhere"}
				native := exec.Command("/usr/bin/gdb", append(common, "-batch")...)
				want := gdbAnswers(t, native, append([]string{"file " + gdbPython, "set args -I " + script + " >/dev/null", "starti"}, lines("continue", s.lines)...))[3:]

				asked := append(lines("continue", s.lines), lines("continue", s.back)...)
				var again []string
				for l := range s.again {
					again = append(again, l)
				}
				cmd := exec.Command(os.Args[0], "replay", "--gdb", rec)
				cmd.Args[0] = "pyrr"
				cmd.Env = []string{"HOME=" + dir}
				for _, l := range []string{"set pagination off", "set confirm off", "set width 0", `echo \n@@start\n`} {
					cmd.Args = append(cmd.Args, "-ex", l)
				}
				got := gdbAnswers(t, cmd, append(slices.Clone(asked), again...))
				for k, l := range s.lines {
					if gdbLocal.MatchString(l) {
						continue
					}
					if d := cmp.Diff(plainGDB(want[k]), plainGDB(got[k])); d != "" {
						t.Errorf("%s (-native +recording):\n%s", l, d)
					}
				}
				for k, l := range again {
					if d := cmp.Diff(gdbValue.ReplaceAllString(got[s.again[l]], ""), gdbValue.ReplaceAllString(got[len(asked)+k], "")); d != "" {
						t.Errorf("%s, gone back to (-forwards +back):\n%s", l, d)
					}
				}
			})
		}
	}
	if os.Getenv("PYRR_E2E") == "full" && sessions < 60 || sessions < 4 {
		t.Errorf("%d sessions", sessions)
	}
}

// recordForGDB records a program once.
func recordForGDB(t *testing.T, program, script, rec string) {
	t.Helper()
	if err := os.WriteFile(script, []byte(gdbPrograms[program]), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "record", "-o", rec, "--", gdbPython, "-I", script)
	cmd.Args[0] = "pyrr"
	gdbRun(t, cmd)
}
