package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"pyrr/assert"
	"pyrr/internal/recording"
	"pyrr/internal/registry"
)

// oneRecording takes the single argument of the commands that read a
// recording and opens it.
func oneRecording(command string, args []string) (*recording.Recording, string, error) {
	switch len(args) {
	case 0:
		hint := "pyrr record -- python app.py"
		if latest := latestRecording(defaultDir); latest != "" {
			hint = "pyrr " + command + " " + shellQuote(latest)
		}
		return nil, "", withHint(usagef("%s: name a recording", command), hint)
	case 1:
	default:
		return nil, "", withHint(usagef("%s: one recording at a time, not %d", command, len(args)), "pyrr "+command+" "+shellQuote(args[0]))
	}
	rec, err := openRecording(command, args[0])
	return rec, args[0], err
}

// openRecording opens a recording for a command; where there is none, the
// hint is the command with one that is there.
func openRecording(command, path string) (*recording.Recording, error) {
	if registry.IsName(path) { // of a flag, or an editor
		paths, err := fetchOwn(context.Background(), &ui{out: io.Discard, err: io.Discard}, command, path)
		if err != nil {
			return nil, err
		}
		path = paths[0]
	}
	if err := notRecording(command, path); err != nil {
		return nil, err
	}
	return openFetched(path)
}

// similarRecording finds a recording for a path that does not exist: the
// same name with its suffix, its .part, or the latest one in the folder; ""
// for none.
func similarRecording(path string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(path, packedSuffix), partSuffix)
	for _, try := range []string{base + packedSuffix, base + partSuffix, filepath.Join(defaultDir, filepath.Base(base)+packedSuffix)} {
		if _, err := os.Stat(try); err == nil {
			return try
		}
	}
	return latestRecording(filepath.Dir(path))
}

// latestRecording returns the newest recording in a folder, "" for none.
func latestRecording(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	type found struct {
		name string
		at   time.Time
	}
	var all []found
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), packedSuffix) {
			continue
		}
		if st, err := e.Info(); err == nil {
			all = append(all, found{e.Name(), st.ModTime()})
		}
	}
	if len(all) == 0 {
		return ""
	}
	sort.Slice(all, func(i, j int) bool { return all[i].at.After(all[j].at) })
	return filepath.Join(dir, all[0].name)
}

// openSource opens a recording for the checks; it is an assert.Opener.
func openSource(path string) (assert.Source, error) {
	rec, err := openRecording("check", path)
	if err != nil {
		return nil, err
	}
	return newSource(rec, nil), nil
}
