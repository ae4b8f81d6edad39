package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// TestGreenletsOfGevent records a program in which greenlets wait for each
// other: each is listed with the stack that it was suspended with, and the hub
// with its own.
func TestGreenletsOfGevent(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	python := setup.Path("venv-greenlet/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no gevent: scripts/venv.sh greenlet")
	}
	dir := t.TempDir()
	program, rec := filepath.Join(dir, "program.py"), filepath.Join(dir, "gevent.pyrr.zip")
	if err := os.WriteFile(program, []byte(`import os
import gevent
from gevent.event import Event
from gevent.queue import Queue

never, queue = Event(), Queue()

def wait_event(n):
    never.wait()

def wait_queue():
    return queue.get()

def last():
    gevent.sleep(0.01)
    os._exit(0)

workers = [gevent.spawn(wait_event, 1), gevent.spawn(wait_event, 2), gevent.spawn(wait_queue), gevent.spawn(last)]
gevent.joinall(workers)
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, program); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	status, out, errs := capturePyrr("bt", "--tasks", rec)
	if status != 0 {
		t.Fatalf("bt: status %d\n%s", status, errs)
	}
	for re, want := range map[string]int{
		`(?m)^greenlet Greenlet 0x[0-9a-f]+ is suspended at `: 3,
		`(?m)^  Py  wait_event +\S*program\.py:9 `:            2,
		`(?m)^  Py  wait_queue +\S*program\.py:12 `:           1,
		`(?m)^  Py  <module> +\S*program\.py:19 `:             1, // the main greenlet
	} {
		n := len(regexp.MustCompile(re).FindAllString(out, -1))
		if want >= 0 && n != want {
			t.Errorf("%s: %d times, want %d", re, n, want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}
