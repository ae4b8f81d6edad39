package inject

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"pyrr/internal/usercache"
	"sync"
	"syscall"
)

// cacheVersion is part of the cache's path. It changes with what the
// scanner finds, also by the table of buffered calls, or how sites are stored.
const cacheVersion = "7"

// maxCacheEntry bounds the size of a cache entry that is read.
const maxCacheEntry = 1 << 20

// SitesCached is Sites with its results kept in the user's cache folder, by
// device, inode, size and modification time of the file. A damaged entry counts
// as absent; a cache that can't be written is done without. Any number of
// processes may use it at once.
func SitesCached(path string) ([]Site, error) {
	return cached(path, "sites", sitesOf, encodeSite, decodeSites)
}

// CallSitesCached is CallSites with its results kept likewise.
func CallSitesCached(path string) ([]CallSite, error) {
	return cached(path, "calls", callSites, encodeCallSite, decodeCallSites)
}

// PausesCached is Pauses with its results kept in the user's cache folder, as
// by SitesCached.
func PausesCached(path string) ([]PauseSite, error) {
	return cached(path, "pauses", pausesOf, encodePause, decodePauses)
}

// ApproxCached is ApproxSites with its results kept likewise.
func ApproxCached(path string) ([]ApproxSite, error) {
	return cached(path, "approx", ApproxSites, encodeApprox, decodeApprox)
}

// known holds what cached has found, by kind and file: a child of the same
// interpreter maps the same files. Its values are not to be changed.
var known sync.Map

type knownKey struct {
	kind string
	id   usercache.FileKey
}

// cached finds something in a file, or takes it from the cache's entry.
func cached[T any](path, kind string, find func(io.ReaderAt, string) ([]T, error), encode func(T) string, decode func([]string) ([]T, bool)) ([]T, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	id, err := idOf(f)
	if err != nil {
		return nil, err
	}
	key := knownKey{kind, id}
	if sites, ok := known.Load(key); ok {
		return sites.([]T), nil
	}
	entry := entryPath(kind, id)
	if lines, ok := readEntry(entry, id); ok {
		if sites, ok := decode(lines); ok {
			known.Store(key, sites)
			return sites, nil
		}
	}
	sites, err := find(f, path)
	if err != nil {
		return nil, err
	}
	e := cacheEntry{File: id, Sites: make([]string, len(sites))}
	for i, s := range sites {
		e.Sites[i] = encode(s)
	}
	writeEntry(entry, e)
	known.Store(key, sites)
	return sites, nil
}

func idOf(f *os.File) (usercache.FileKey, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return usercache.FileKey{}, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return usercache.FileKey{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}, nil
}

// entryPath is where the cache keeps what it knows of a file, "" without one.
func entryPath(kind string, id usercache.FileKey) string {
	dir, err := usercache.Dir(kind, "v"+cacheVersion)
	if err != nil {
		return ""
	}
	return filepath.Join(dir, id.String()+".json")
}

// A cacheEntry holds each site as "file offset, address, bytes", in
// hexadecimal; the rest follows from the bytes.
type cacheEntry struct {
	File  usercache.FileKey
	Sites []string
}

func encodeSite(s Site) string {
	return fmt.Sprintf("%x %x %x", s.Off, s.Vaddr, s.Orig[:s.Len])
}

func decodeSite(text string) (Site, bool) {
	off, vaddr, b, err := splitSite(text)
	if err != nil {
		return Site{}, false
	}
	in, ok := decode(b)
	if !ok || in.len != len(b) {
		return Site{}, false
	}
	s, ok := wantedInsn(in, b)
	s.Off, s.Vaddr = off, vaddr
	return s, ok
}

func readEntry(name string, id usercache.FileKey) ([]string, bool) {
	if name == "" {
		return nil, false
	}
	f, err := openRegular(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() > maxCacheEntry {
		return nil, false
	}
	b := make([]byte, st.Size())
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		return nil, false
	}
	var e cacheEntry
	if json.Unmarshal(b, &e) != nil || e.File != id {
		return nil, false
	}
	return e.Sites, true
}

func decodeSites(lines []string) ([]Site, bool) {
	var sites []Site
	for _, text := range lines {
		s, ok := decodeSite(text)
		if !ok {
			return nil, false
		}
		sites = append(sites, s)
	}
	return sites, true
}

// writeEntry replaces the entry at once, so that no reader sees half of it.
func writeEntry(name string, e cacheEntry) {
	b, err := json.Marshal(e)
	if err != nil || len(b) > maxCacheEntry || name == "" {
		return
	}
	_ = usercache.WriteFile(name, b) // they are found again without
}
