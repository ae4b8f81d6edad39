package cpython

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"pyrr/internal/sys"
	"pyrr/internal/usercache"
)

const (
	// clockFormat is part of the cache's path. It changes with what FindClock
	// finds or how a Clock is stored.
	clockFormat = "10"
	// maxClockSize bounds a stored Clock.
	maxClockSize = 64 << 10
)

// A Cache keeps what FindClock found in a folder, a file for each version of
// an ELF file: by device, inode, size and modification time. Any number of
// processes may use it at once. An entry that can't be read counts as absent,
// a folder that can't be written is done without.
type Cache struct{ Dir string }

// DefaultCache is the cache in the user's cache folder. Each newest version that is known
// has its own: what was too new for one pyrr is looked at again by the next.
func DefaultCache() Cache {
	dir, err := usercache.Dir("clock", fmt.Sprintf("v%s-%d", clockFormat, maxMinor()))
	if err != nil {
		return Cache{}
	}
	return Cache{dir}
}

// FindClockCached is FindClock with DefaultCache.
func FindClockCached(path string) (*Clock, error) { return DefaultCache().FindClock(path) }

// cacheEntry is what a file of the cache holds: a Clock, or why there is
// none. File is held against the file's name.
type cacheEntry struct {
	File         usercache.FileKey
	Clock        *Clock `json:",omitempty"`
	Reason, Hint string `json:",omitempty"`
	NotPython    bool   `json:",omitempty"`
}

// FindClock is the function of that name; it stores what it finds, errors
// included.
func (c Cache) FindClock(path string) (*Clock, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var st sys.Stat_t
	if err := sys.Fstat(int(f.Fd()), &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	key := usercache.FileKey{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}
	if e, ok := c.read(key); ok {
		switch {
		case e.NotPython:
			return nil, fmt.Errorf("%s: %w", path, ErrNotPython)
		case e.Clock == nil:
			return nil, &ClockError{Path: path, Reason: e.Reason, Hint: e.Hint}
		}
		e.Clock.Path = path
		return e.Clock, nil
	}
	clock, err := findClockIn(f, path)
	e := cacheEntry{File: key, Clock: clock}
	ce := (*ClockError)(nil)
	switch {
	case errors.As(err, &ce):
		e.Reason, e.Hint = ce.Reason, ce.Hint
	case errors.Is(err, ErrNotPython):
		e.NotPython = true
	case err != nil:
		return nil, err
	}
	c.write(e)
	return clock, err
}

func (c Cache) file(k usercache.FileKey) string { return filepath.Join(c.Dir, k.String()+".json") }

func (c Cache) read(k usercache.FileKey) (cacheEntry, bool) {
	var e cacheEntry
	if c.Dir == "" {
		return e, false
	}
	f, err := openFile(c.file(k))
	if err != nil {
		return e, false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() > maxClockSize {
		return e, false
	}
	b := make([]byte, st.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		return e, false
	}
	if json.Unmarshal(b, &e) != nil || e.File != k {
		return e, false
	}
	if e.Clock != nil {
		return e, e.Clock.check() == nil
	}
	return e, e.NotPython || e.Reason != ""
}

// write replaces the entry at once, so that no reader sees half of it.
func (c Cache) write(e cacheEntry) {
	b, err := json.Marshal(e)
	if err != nil || len(b) > maxClockSize || c.Dir == "" {
		return
	}
	_ = usercache.WriteFile(c.file(e.File), b) // it is found again without
}
