package capture

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mistake of the recorder's ends the recording, never the program, whatever
// its threads are doing then.
func TestProgramOutlivesAMistakeOfTheRecorder(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	t.Cleanup(func() { testHook = nil })
	const code = "import threading, json, sys\nt = threading.Thread(target=json.dumps, args=([1],))\nt.start(); t.join()\nsys.exit(5)"
	// Until there are no more stops: how many there are is a matter of speed.
	all := false
	for at := 1; !all; at += 53 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			calls := 0
			testHook = func() {
				if calls++; calls == at {
					panic("made up")
				}
			}
			var said []string
			info, err := Record(context.Background(), Options{
				Command: []string{python, "-c", code},
				Dir:     filepath.Join(t.TempDir(), "x.pyrr.part"),
				Warn:    func(s string) { said = append(said, s) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if calls < at {
				if all = true; calls < 200 {
					t.Errorf("only %d stops", calls)
				}
				return
			}
			if info.Status != 5 {
				t.Errorf("the program ended with %d, not with 5", info.Status)
			}
			if len(said) != 1 || !strings.Contains(said[0], "made up") {
				t.Errorf("the user is told %q", said)
			}
		})
	}
}

// The same for an error where a program begins: the command itself, or one that
// it executes.
func TestProgramOutlivesAnErrorAtItsBeginning(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	t.Cleanup(func() { testBegin = nil })
	const code = "import subprocess, sys\nsys.exit(5 + subprocess.run([sys.executable, '-c', '']).returncode)"
	for at := 1; at <= 2; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			calls := 0
			testBegin = func() error {
				if calls++; calls == at {
					return errors.New("made up")
				}
				return nil
			}
			var said []string
			info, err := Record(context.Background(), Options{
				Command: []string{python, "-c", code},
				Dir:     filepath.Join(t.TempDir(), "x.pyrr.part"),
				Warn:    func(s string) { said = append(said, s) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if info.Status != 5 {
				t.Errorf("the program ended with %d, not with 5", info.Status)
			}
			if len(said) != 1 || !strings.Contains(said[0], "made up") {
				t.Errorf("the user is told %q", said)
			}
		})
	}
}
