package inject

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"pyrr/internal/usercache"
	"sync"
	"syscall"
)

// cacheVersion is part of the cache's path. It changes with what the
// scanner finds, also by the table of buffered calls, or how sites are stored.
const cacheVersion = "14"

// maxCacheEntry bounds the size of a cache entry that is read.
const maxCacheEntry = 4 << 20

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

// known holds what cached has found, by kind and file, and what it has read of entries,
// with no kind: a child of the same interpreter maps the same files. Its values are not to
// be changed.
var known sync.Map

type knownKey struct {
	kind string
	id   usercache.FileKey
}

// cached finds something in a file, or takes it from the cache's entry.
func cached[T any](path, kind string, find func(io.ReaderAt, string) ([]T, error), encode func(T) string, decode func([]string) ([]T, bool)) ([]T, error) {
	id, err := idOf(path)
	if err != nil {
		return nil, err
	}
	key := knownKey{kind, id}
	if sites, ok := known.Load(key); ok {
		return sites.([]T), nil
	}
	entry := entryPath(id)
	kinds := kindsOf(entry, id)
	if lines, ok := kinds[kind]; ok {
		if sites, ok := decode(lines); ok {
			known.Store(key, sites)
			return sites, nil
		}
	}
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sites, err := find(f, path)
	if err != nil {
		return nil, err
	}
	lines := make([]string, len(sites))
	for i, s := range sites {
		lines[i] = encode(s)
	}
	kinds = maps.Clone(kinds)
	kinds[kind] = lines
	known.Store(knownKey{"", id}, kinds)
	writeEntry(entry, cacheEntry{File: id, Kinds: kinds})
	known.Store(key, sites)
	return sites, nil
}

// kindsOf is what the cache's entry of a file has, by kind.
func kindsOf(entry string, id usercache.FileKey) map[string][]string {
	key := knownKey{"", id}
	if kinds, ok := known.Load(key); ok {
		return kinds.(map[string][]string)
	}
	kinds := readEntry(entry, id)
	known.Store(key, kinds)
	return kinds
}

func idOf(path string) (usercache.FileKey, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return usercache.FileKey{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return usercache.FileKey{}, notRegular(path)
	}
	return usercache.FileKey{Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size, Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec}, nil
}

// entryPath is where the cache keeps what it knows of a file, "" without one.
func entryPath(id usercache.FileKey) string {
	dir, err := usercache.Private("code", "v"+cacheVersion)
	if err != nil {
		return ""
	}
	return filepath.Join(dir, id.String()+".json")
}

// A cacheEntry holds each site as "file offset, address, bytes", in
// hexadecimal; the rest follows from the bytes. Whatever is looked for in a file's code is
// in one entry: it is all needed where the file is mapped.
type cacheEntry struct {
	File  usercache.FileKey
	Kinds map[string][]string // by kind
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

// readEntry returns what an entry has, nothing where it is absent or damaged.
func readEntry(name string, id usercache.FileKey) map[string][]string {
	none := map[string][]string{}
	if name == "" {
		return none
	}
	f, err := openRegular(name)
	if err != nil {
		return none
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() > maxCacheEntry {
		return none
	}
	b := make([]byte, st.Size())
	if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
		return none
	}
	var e cacheEntry
	if json.Unmarshal(b, &e) != nil || e.File != id || e.Kinds == nil {
		return none
	}
	return e.Kinds
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
