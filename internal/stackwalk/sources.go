package stackwalk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// sourceKeeper keeps the text of Python files in a recording. It reads and
// compresses them on a goroutine of its own.
type sourceKeeper struct {
	w     *recording.SourceWriter
	mu    sync.Mutex // of seen: stacks and events are looked at beside each other
	seen  map[string]bool
	names chan string
	ended chan struct{}
}

// sourcesFrom says where the text of source files may come from.
type sourcesFrom uint8

const (
	// FromRecording: from what the recording keeps of them already. It names
	// files as it likes, and may be a stranger's.
	FromRecording sourcesFrom = iota
	// FromMachine: also from this machine, which made the recording just now.
	FromMachine
)

// keepSources begins to keep sources in a recording that is a folder.
func keepSources(rec *recording.Recording, from sourcesFrom) (*sourceKeeper, error) {
	procs, err := rec.Procs()
	if err != nil {
		return nil, err
	}
	have, err := rec.Sources()
	if err != nil {
		have = nil // they are made again
	}
	w, err := rec.WriteSources()
	if err != nil {
		return nil, err
	}
	k := &sourceKeeper{w: w, seen: map[string]bool{}, names: make(chan string, 64), ended: make(chan struct{})}
	before := ended(rec)
	go func() {
		defer close(k.ended)
		failed := false
		for name := range k.names {
			text, ok := have[name]
			if !ok && from == FromMachine {
				text, ok = sourceText(name, procs, before)
			}
			if ok && !failed {
				err := w.Add(name, text)
				failed = err != nil && !errors.Is(err, recording.ErrTooLarge) // Close says so too
			}
		}
	}()
	return k, nil
}

// see keeps a file, by the name that Python has for it.
func (k *sourceKeeper) see(name string) {
	k.mu.Lock()
	isNew := !k.seen[name]
	k.seen[name] = true
	k.mu.Unlock()
	if isNew {
		k.names <- name
	}
}

// opened keeps the source of a file that the program opened: itself, or what
// Python made it from. So modules are kept that run and are on no stack at an
// event.
func (k *sourceKeeper) opened(ev *recording.Event) {
	if u, ok := linux.Uses(int(ev.Nr), linux.DoOpen); !ok || u.Object != linux.ObjFile ||
		ev.Kind != recording.KindSyscall && ev.Kind != recording.KindEnter || ev.Kind == recording.KindSyscall && ev.Ret < 0 {
		return
	}
	path, _, _ := strings.Cut(string(ev.In), "\x00")
	if name, ok := SourceOf(path); ok {
		k.see(name)
	}
}

// SourceOf returns the source file of a path that Python opens to import a
// module: NAME.py, or __pycache__/NAME.cpython-311.pyc beside it (PEP 3147).
func SourceOf(path string) (string, bool) {
	if strings.HasSuffix(path, ".py") {
		return path, true
	}
	dir, file := filepath.Split(path)
	cached, ok := strings.CutSuffix(file, ".pyc")
	parent, inCache := strings.CutSuffix(dir, "__pycache__/")
	if !ok || !inCache {
		return "", false
	}
	name, tag, ok := strings.Cut(cached, ".cpython-")
	// pytest keeps the tests that it has rewritten in NAME.cpython-311-pytest-8.0.pyc.
	return parent + name + ".py", ok && tag != "" && name != ""
}

func (k *sourceKeeper) stop() {
	if k.names != nil {
		close(k.names)
		<-k.ended
		k.names = nil
	}
}

// close puts the sources in their place.
func (k *sourceKeeper) close() error {
	k.stop()
	return k.w.Close()
}

// abort drops them.
func (k *sourceKeeper) abort() {
	k.stop()
	k.w.Abort()
}

// sourceText reads a source file by the name that Python has for it. One that
// was changed after the recording is not what ran.
func sourceText(name string, procs []recording.Process, ended time.Time) ([]byte, bool) {
	paths := []string{name}
	if !filepath.IsAbs(name) {
		paths = paths[:0]
		for i := range procs {
			paths = append(paths, filepath.Join(procs[i].Cwd, name))
		}
	}
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		text, ok := readSource(f, ended)
		f.Close()
		if ok {
			return text, true
		}
	}
	return nil, false
}

func readSource(f *os.File, ended time.Time) ([]byte, bool) {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.ModTime().After(ended) || st.Size() > recording.MaxSource {
		return nil, false
	}
	text := make([]byte, st.Size())
	if _, err := io.ReadFull(f, text); err != nil {
		return nil, false
	}
	return text, true
}

// ended is when the recorded command ended.
func ended(rec *recording.Recording) time.Time {
	if sum, ok := rec.Summary(); ok {
		return sum.Ended
	}
	return time.Now()
}
