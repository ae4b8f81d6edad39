//go:build linux

package ptrace

import (
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// A program that a test, or who uses the packages, has started is theirs to wait for, also
// where the thread that started it would be the one that traces.
func TestGoHasNoChildren(t *testing.T) {
	for range 20 {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.Command("cat")
		c.Stdin = in
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		in.Close()
		done := make(chan error)
		Go(func() {
			w, err := NewWaits()
			if err == nil {
				out.Close() // the program ends
				_, _, err = w.Next(true)
				w.Close()
			}
			if unix.Gettid() == os.Getpid() {
				t.Error("the first thread traces")
			}
			done <- err
		})
		if err := <-done; err != unix.ECHILD {
			t.Errorf("a thread has something to wait for: %v", err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("a program that another started was waited for: %v", err)
		}
	}
}

func TestHasChildren(t *testing.T) {
	runtime.LockOSThread() // not given back: others would meet this child
	c := exec.Command("sleep", "100")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if !hasChildren() {
		t.Error("a thread has no child that it has just started")
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Error("it ended by itself")
	}
}
