package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"pyrr/internal/recording"
)

// How long a process is recorded to see where it stands. To say that somebody
// polls takes longer than to see its stacks.
const (
	lookForStacks  = 100 * time.Millisecond
	lookForReasons = time.Second
)

// recordingOrProcess opens the recording that a command names, or one made of the
// living process that it names.
func recordingOrProcess(u *ui, command string, pid int, span time.Duration, args []string) (*recording.Recording, string, func(), error) {
	if pid != 0 {
		return look(u, command, pid, span, args)
	}
	rec, path, err := oneRecording(command, args)
	if err != nil {
		return nil, "", nil, err
	}
	return rec, path, func() { rec.Close() }, nil
}

// look records a living process for a moment, for a command that is about
// recordings. The recording is gone when done is called.
func look(u *ui, command string, pid int, span time.Duration, args []string) (rec *recording.Recording, path string, done func(), err error) {
	if len(args) > 0 {
		return nil, "", nil, usagef("%s: --pid %d and a recording exclude each other", command, pid)
	}
	if _, err := processArgs(pid); err != nil {
		return nil, "", nil, err
	}
	dir, err := os.MkdirTemp("", "pyrr-look-")
	if err != nil {
		return nil, "", nil, fmt.Errorf("make a folder for the recording: %w", err)
	}
	remove := u.cleanups.add(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, fmt.Sprintf("%d%s", pid, packedSuffix))
	u.status("looking at process %d", pid)
	var said bytes.Buffer
	err = lookBy(pid, span, path, &said)
	u.clearStatus()
	if err == nil {
		rec, err = recording.Open(path)
	}
	if err != nil {
		remove()
		if text := strings.TrimSpace(said.String()); text != "" {
			fmt.Fprintln(u.err, text)
			return nil, "", nil, exitStatusError(exitMachine)
		}
		return nil, "", nil, err
	}
	return rec, path, func() { rec.Close(); remove() }, nil
}

// lookBy is pyrr record --pid in a process of its own.
func lookBy(pid int, span time.Duration, path string, said *bytes.Buffer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find pyrr's own program: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"pyrr", "record", "--pid", fmt.Sprint(pid), "--for", span.String(), "--redact=never", "-o", path}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("look at process %d: %w", pid, err)
	}
	return nil
}
