//go:build linux && amd64

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/cli"
)

// ran is the result of a command.
type ran struct {
	status      int
	stdout, err string
}

func runIn(t *testing.T, dir string, argv ...string) ran {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Args[0] = "pyrr" // TestMain runs main for that name
	if filepath.Base(cmd.Path) == emulator {
		cmd.Args = append([]string{emulator, "-0", "pyrr"}, argv[1:]...)
	}
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", argv, err)
	}
	// A busy machine is told what takes long there.
	said := regexp.MustCompile(`(?m)^pyrr: … .*\n`).ReplaceAllString(errs.String(), "")
	return ran{cmd.ProcessState.ExitCode(), out.String(), said}
}

const emulator = "qemu-aarch64-static"

// shownElsewhere are programs of different kinds; their recordings are read on another machine.
var shownElsewhere = map[string]string{
	"values":  valuesProgram,
	"thread":  "import threading\nt = threading.Thread(target=print, args=('there',))\nt.start()\nt.join()\n",
	"frames":  framesProgram,
	"raises":  "def f(d):\n    return d['nö']\ntry:\n    f({})\nexcept KeyError as e:\n    print(repr(e))\n",
	"tasks":   "import asyncio\nasync def wait(n):\n    await asyncio.sleep(n / 1000)\n    return n\nasync def main():\n    print(await asyncio.gather(wait(1), wait(2)))\nasyncio.run(main())\n",
	"child":   "import subprocess, sys\nprint(subprocess.run([sys.executable, '-c', 'print(2)'], capture_output=True).stdout)\n",
	"fork":    "import os\np = os.fork()\nif not p:\n    os._exit(0)\nprint(os.waitpid(p, 0)[1])\n",
	"sockets": "import socket\na, b = socket.socketpair()\na.sendall(bytes(range(256)))\nprint(b.recv(300))\n",
	"files":   "import tempfile\nwith tempfile.TemporaryFile('w+') as f:\n    f.write('ä\\x1b[1m')\n    f.seek(0)\n    print(ascii(f.read()))\n",
	"queue":   "import queue, threading\nq = queue.Queue(1)\nt = threading.Thread(target=lambda: [q.put(i) for i in range(5)])\nt.start()\nprint([q.get() for _ in range(5)])\nt.join()\n",
	"signal":  "import os, signal\nsignal.signal(signal.SIGUSR1, lambda *a: print('got', a[0]))\nos.kill(os.getpid(), signal.SIGUSR1)\n",
}

// TestReadersOnArm64 lets pyrr for Linux on arm64, in an emulator, read recordings: it
// prints the same, byte for byte. Where that needs a replay, it says what it leaves out.
func TestReadersOnArm64(t *testing.T) {
	qemu, err := exec.LookPath(emulator)
	if err != nil {
		t.Skip("no " + emulator + ": apt-get install qemu-user-static")
	}
	t.Setenv("DB_PASSWORD", "correct-horse-77")
	recs := map[string]string{"secret": recordText(t, "import os\nprint(len(os.environ['DB_PASSWORD']))\n")}
	for name, program := range shownElsewhere {
		recs[name] = recordText(t, program)
	}
	dir := t.TempDir()
	for name, rec := range recs {
		if err := os.Rename(rec, filepath.Join(dir, name+".pyrr.zip")); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(t.TempDir(), "pyrr-arm64")
	// A second standard library is compiled for it: without inlining in a quarter less of the time.
	build := exec.Command("go", "build", "-gcflags=all=-l", "-gcflags=pyrr/...=", "-ldflags=-s -w", "-o", other, ".")
	build.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	there := func(args ...string) ran { return runIn(t, dir, append([]string{qemu, other}, args...)...) }
	for _, args := range [][]string{
		{"ls"}, {"ls", "--json", "."}, {"diff", "values.pyrr.zip", "thread.pyrr.zip"},
		{"info", "*"}, {"bt", "*"}, {"explain", "*"}, {"events", "*"}, {"report", "-o", "-", "--variables", "never", "*"},
		{"info", "--json", "values.pyrr.zip"}, {"explain", "--all", "child.pyrr.zip"},
	} {
		for name := range recs {
			argv := strings.Fields(strings.ReplaceAll(strings.Join(args, " "), "*", name+".pyrr.zip"))
			here := runIn(t, dir, append([]string{os.Args[0]}, argv...)...)
			if got := there(argv...); got != here {
				t.Errorf("%v: on arm64 status %d\n%s%s\nhere %d\n%s%s", argv, got.status, got.stdout, got.err, here.status, here.stdout, here.err)
			}
			if args[len(args)-1] != "*" {
				break
			}
		}
	}
	// Only a replay can read variables: a page that should have them says that it has none.
	if r := there("report", "-o", "page.html", "values.pyrr.zip"); r.status != 0 {
		t.Errorf("report: status %d\n%s", r.status, r.err)
	}
	// What can't be done there says so once, and how to get it.
	for _, args := range [][]string{{"replay", "values.pyrr.zip"}, {"replay", "--batch", "values.pyrr.zip"}, {"print", "values.pyrr.zip", "f"}} {
		if r := there(args...); r.status != cli.ExitMachine || strings.Count(r.err, "needs Linux on x86-64") != 1 || !strings.Contains(r.err, "ssh -t HOST") {
			t.Errorf("%v: status %d\n%s", args, r.status, r.err)
		}
	}
	// What pytest --pyrr asks pyrr for: the project's time limit, and a run of what can't be recorded.
	if r := there("record", "--tell-timeout", "--timeout=2m"); r.status != 0 || r.stdout != "120\n" {
		t.Errorf("the time limit: status %d, %q\n%s", r.status, r.stdout, r.err)
	}
	if r := there("record", "--or-else-run", "--", "echo", "it ran"); r.status != 0 || r.stdout != "it ran\n" || !strings.Contains(r.err, "not recorded: ") {
		t.Errorf("what can't be recorded: status %d, %q\n%s", r.status, r.stdout, r.err)
	}
	packsThere(t, dir, there)
}

// packsThere packs where nothing can be replayed. A recording without secrets keeps what
// a replay found earlier, and replays here; one with secrets is left with events and stacks.
func packsThere(t *testing.T, dir string, there func(...string) ran) {
	t.Setenv("DB_PASSWORD", "") // who packs need not know the secret
	plain := recordText(t, "print('plain')\n")
	for _, c := range []struct {
		rec, out, said string
		replays        bool
	}{
		{plain, "plain-packed.pyrr.zip", "verified", true},
		{"secret.pyrr.zip", "secret-packed.pyrr.zip", "without memory", false},
	} {
		r := there("pack", "-o", c.out, c.rec)
		if r.status != 0 || !strings.Contains(r.err, c.said) {
			t.Errorf("pack %s: status %d\n%s", c.rec, r.status, r.err)
			continue
		}
		out := filepath.Join(dir, c.out)
		status, _, errs := capturePyrr("replay", "-ex", "goto end", "-ex", "quit", out)
		if (status == 0) != c.replays {
			t.Errorf("replay of %s: status %d\n%s", c.out, status, errs)
		}
		text, err := exec.Command("unzip", "-p", out).Output()
		if err != nil || bytes.Contains(text, []byte("correct-horse")) {
			t.Errorf("%s: %v, or it has the secret", c.out, err)
		}
		if status, listed, errs := capturePyrr("events", out); status != 0 || strings.Contains(listed, "correct-horse") || !strings.Contains(listed, "exit_group") {
			t.Errorf("events %s: status %d\n%s", c.out, status, errs)
		}
	}
}
