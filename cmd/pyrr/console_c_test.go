//go:build linux && amd64

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"pyrr/internal/probe"
)

const listOfC = `#include <stdlib.h>
struct node { int key; struct node *next; };
static int counter;
int table[2] = {1, 2};
static struct node *push(struct node *head, int key) {
    struct node *n = calloc(1, sizeof *n);
    n->key = key;
    n->next = head;
    counter++;
    return n;
}
int start(int k) {
    struct node *head = NULL;
    for (int i = 0; i < k; i++) {
        head = push(head, i + 5);
        table[i % 2] += i;
    }
    return head->key;
}
`

// TestConsoleC debugs, as one would in gdb, a library that was compiled without
// optimisation: static functions, before the library is loaded; arguments at a stop; the old
// and new value of a watched variable, forwards and back.
func TestConsoleC(t *testing.T) {
	probe.Require(t)
	gcc, err := exec.LookPath("gcc")
	python := testPython()
	if err != nil || python == "" {
		t.Skip("no gcc or no Python")
	}
	dir := t.TempDir()
	file, lib, rec := filepath.Join(dir, "list.c"), filepath.Join(dir, "list.so"), filepath.Join(dir, "x.pyrr.zip")
	if err := os.WriteFile(file, []byte(listOfC), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-g", "-O0", "-shared", "-fPIC", "-o", lib, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, "-c", "import ctypes; ctypes.CDLL("+pythonString(lib)+").start(3)"); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	got := typed(t, rec, "break push if key == 6", "break nosuch", "tbreak start", "continue", "p k", "continue ", "info args", "p *head", "watch counter", "commands 4", "print counter + 1", "end",
		"watch table[1]", "continue  ", "continue   ", "up", "rc", "rc ", "delete", "reverse-continue")
	for _, c := range []struct{ command, want string }{
		{"break push if key == 6", `Breakpoint 1.*: .*push`},
		{"break nosuch", `No function nosuch is defined in the sources that ran, and none of C has that name`},
		{"continue", `hit Breakpoint 3, start \(k=3\) at \S*list.c:13\n13\t    struct node \*head = NULL;\n`},
		{"p k", `k = 3\n`},
		{"continue ", `hit Breakpoint 1, push \(head=0x\w+, key=6\) at \S*list.c:6\n6\t    struct node`},
		{"info args", `head = 0x\w+\nkey = 6\n`}, {"p *head", `= \{key = 5, next = 0x0\}\n`},
		{"continue  ", `Hardware watchpoint 4: counter\n\nOld value = 1\nNew value = 2\npush \(.* at \S*list.c:10\n10\t    return n;\ncounter \+ 1 = 3\n`},
		{"continue   ", `Hardware watchpoint 5: table\[1\]\n\nOld value = 2\nNew value = 3\nstart `},
		{"rc", `Hardware watchpoint 5: table\[1\]\n\nOld value = 3\nNew value = 2\nstart `},
		{"rc ", `Hardware watchpoint 4: counter\n\nOld value = 2\nNew value = 1\npush `},
		{"reverse-continue", `beginning of the recording`},
	} {
		if !regexp.MustCompile(c.want).MatchString(got[c.command]) {
			t.Errorf("%s: no match for %s in\n%s", c.command, c.want, got[c.command])
		}
	}
}

// TestConsoleRaise stops where an exception is raised, and shows Python's variables there.
func TestConsoleRaise(t *testing.T) {
	got := typed(t, recordText(t, "def f(d):\n    return d['no']\ntry:\n    f({'x': 1})\nexcept KeyError:\n    print('none', flush=True)\n"),
		"break write", "continue", "catch raise KeyError", "display d", "reverse-continue", "info locals", "up")
	for _, c := range []struct{ command, want string }{
		{"reverse-continue", `hit Catchpoint 2 \(raise KeyError\), f \(\) at \S+app.py:2\n2\t    return d\['no'\]\n1: d = \{'x': 1\}\n`},
		{"info locals", `^\nd = \{'x': 1\}\n`}, {"up", `<module> \(\) at \S+app.py:4\n`},
	} {
		if !regexp.MustCompile(c.want).MatchString(got[c.command]) {
			t.Errorf("%s: no match for %s in\n%s", c.command, c.want, got[c.command])
		}
	}
}
