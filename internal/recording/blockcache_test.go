package recording

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestBlockCacheGivesBackWhatWasPut(t *testing.T) {
	c := &blockCache{dir: t.TempDir()}
	raw := bytes.Repeat([]byte("block "), 10_000)
	path := func(raw []byte) string {
		sum := newHash()
		sum.Write(raw)
		return c.path(sum, raw)
	}
	if _, ok := c.get(nil, path(raw)); ok {
		t.Fatal("found in an empty cache")
	}
	c.put(path(raw), []byte("packed"))
	if got, ok := c.get([]byte("head "), path(raw)); !ok || string(got) != "head packed" {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, ok := c.get(nil, path(append(raw, 1))); ok {
		t.Error("another block is found too")
	}
	// The same file up to there, of which less is in this block.
	sum := newHash()
	sum.Write(raw)
	if _, ok := c.get(nil, c.path(sum, raw[6000:])); ok {
		t.Error("a block with another beginning is found too")
	}
	for _, bad := range []string{"pzcked\x00\x00\x00\x00", "pack", "", strings.Repeat("long", blockSize)} {
		if err := os.WriteFile(path(raw), []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.get([]byte("head "), path(raw)); ok || string(got) != "head " {
			t.Errorf("a damaged block is given out: %.20q", got)
		}
	}
	if path := path(raw[:100]); path != "" {
		t.Error("a small block is kept")
	}
}

// cachedIn are the files of a folder of the cache, by their paths.
func cachedIn(t *testing.T, dir string) map[string]fs.FileInfo {
	t.Helper()
	all := map[string]fs.FileInfo{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		all[path], err = d.Info()
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

// packedWith is a packed recording with one mapped file.
func packedWith(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := filepath.Join(t.TempDir(), "x")
	w, err := Create(dir, Header{Started: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	addFile(t, w, f, uint64(st.Size()))
	if _, err := w.AddFileBytes("no file", testContent(7, 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Stream(1).Append(&Event{Kind: KindStart, Proc: &Process{ID: 1}}), w.Close(Summary{})); err != nil {
		t.Fatal(err)
	}
	if err := Pack(dir, dir+".pyrr.zip"); err != nil {
		t.Fatal(err)
	}
	return dir + ".pyrr.zip"
}

// The second recording takes from the cache what the first put there, and has the same
// bytes; what is damaged there is packed again. What was just made, or is no file, is not kept.
func TestBlockCacheOfRecordings(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	blocks := filepath.Join(home, "pyrr/blocks")
	content := testContent(1, 5*blockSize/2)
	library := filepath.Join(t.TempDir(), "lib.so")
	if err := os.WriteFile(library, content, 0o600); err != nil {
		t.Fatal(err)
	}
	holds := func(packed string) {
		t.Helper()
		r, err := Open(packed)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got := readFile(t, r, 1); !bytes.Equal(got, content) {
			t.Errorf("%d bytes, of %d", len(got), len(content))
		}
	}
	same := func(a, b string) {
		t.Helper()
		x, err := os.ReadFile(a)
		y, err2 := os.ReadFile(b)
		if errors.Join(err, err2) != nil || !bytes.Equal(x, y) {
			t.Errorf("%d and %d bytes, which differ: %v, %v", len(x), len(y), err, err2)
		}
	}
	holds(packedWith(t, library))
	if n := len(cachedIn(t, home)); n != 0 {
		t.Errorf("%d blocks are kept of a file that was just written", n)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(library, old, old); err != nil {
		t.Fatal(err)
	}
	first := packedWith(t, library)
	holds(first)
	kept := cachedIn(t, blocks)
	if len(kept) != 3 {
		t.Fatalf("%d blocks are kept", len(kept))
	}
	if st, err := os.Stat(blocks); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder has %v, %v", st.Mode(), err)
	}
	same(first, packedWith(t, library))
	paths := slices.Sorted(maps.Keys(kept))
	for path, st := range cachedIn(t, blocks) {
		if kept[path] == nil || !os.SameFile(st, kept[path]) {
			t.Errorf("%s was made again", path)
		}
	}
	// It is what the recording is made of: a block that is put there in another's place,
	// whole, is noticed by who reads it.
	if err := os.WriteFile(paths[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	same(first, packedWith(t, library))
	if st := cachedIn(t, blocks)[paths[0]]; st.Size() != kept[paths[0]].Size() {
		t.Errorf("the damaged block has %d bytes, which had %d", st.Size(), kept[paths[0]].Size())
	}
	// Several at once, of an empty cache.
	t.Setenv(blockCacheVariable, filepath.Join(t.TempDir(), "new"))
	var wg sync.WaitGroup
	var all [4]string
	for i := range all {
		wg.Go(func() { all[i] = packedWith(t, library) })
	}
	wg.Wait()
	for _, one := range all {
		same(first, one)
	}
	t.Setenv(blockCacheVariable, "")
	same(first, packedWith(t, library))
}

// What was used longest ago goes, not what was made then.
func TestBlockCacheIsBounded(t *testing.T) {
	c := &blockCache{dir: t.TempDir()}
	long := time.Now().Add(-48 * time.Hour)
	var paths []string
	for i := range 3 {
		path := filepath.Join(c.dir, "ab", fmt.Sprintf("%d", i))
		c.put(path, []byte("packed"))
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	if _, ok := c.get(nil, paths[0]); !ok {
		t.Fatal("not found")
	}
	for i, path := range paths {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if used := time.Since(st.ModTime()) < time.Hour; used != (i == 0) {
			t.Errorf("%s: used just now: %v", path, used)
		}
	}
	// A file as large as the bound, of which the disk has nothing.
	large := filepath.Join(c.dir, "ab", "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, cacheLimit); err != nil {
		t.Fatal(err)
	}
	older := long.Add(-time.Hour)
	if err := os.Chtimes(large, older, older); err != nil {
		t.Fatal(err)
	}
	again := &blockCache{dir: c.dir}
	again.put(filepath.Join(c.dir, "ab", "new"), []byte("packed"))
	if left := cachedIn(t, c.dir); len(left) != 4 || left[large] != nil {
		t.Errorf("left: %v", slices.Sorted(maps.Keys(left)))
	}
}
