package find

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"pyrr/internal/hint"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/registry"
	"pyrr/internal/screen"
)

// One takes the single argument of the commands that read a
// recording and opens it.
func One(command string, args []string) (*recording.Recording, string, error) {
	switch len(args) {
	case 0:
		remedy := "pyrr record -- python app.py"
		if latest := latestRecording(DefaultDir); latest != "" {
			remedy = "pyrr " + command + " " + printable.ShellQuote(latest)
		}
		return nil, "", hint.With(hint.Usagef("%s: name a recording", command), remedy)
	case 1:
	default:
		return nil, "", hint.With(hint.Usagef("%s: one recording at a time, not %d", command, len(args)), "pyrr "+command+" "+printable.ShellQuote(args[0]))
	}
	rec, err := Open(command, args[0])
	return rec, args[0], err
}

// Open opens a recording for a command; where there is none, the
// remedy is the command with one that is there.
func Open(command, path string) (*recording.Recording, error) {
	if registry.IsName(path) { // of a flag, or an editor
		paths, err := FetchOwn(context.Background(), &screen.UI{Out: io.Discard, Err: io.Discard}, command, path)
		if err != nil {
			return nil, err
		}
		path = paths[0]
	}
	if err := NotRecording(command, path); err != nil {
		return nil, err
	}
	return openFetched(path)
}

// similarRecording finds a recording for a path that does not exist: the
// same name with its suffix, its .part, or the latest one in the folder; ""
// for none.
func similarRecording(path string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(path, recording.PackedSuffix), recording.PartSuffix)
	for _, try := range []string{base + recording.PackedSuffix, base + recording.PartSuffix, filepath.Join(DefaultDir, filepath.Base(base)+recording.PackedSuffix)} {
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
		if !strings.HasSuffix(e.Name(), recording.PackedSuffix) {
			continue
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() {
			all = append(all, found{e.Name(), st.ModTime()})
		}
	}
	if len(all) == 0 {
		return ""
	}
	sort.Slice(all, func(i, j int) bool { return all[i].at.After(all[j].at) })
	return filepath.Join(dir, all[0].name)
}

// DefaultDir is where recordings go without -o.
const DefaultDir = "recordings"
