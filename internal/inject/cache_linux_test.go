package inject

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/usercache"
)

func TestSitesCached(t *testing.T) {
	path := firstFile(systemFiles[0].globs)
	if path == "" {
		t.Skip("no ld.so here")
	}
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	want, err := Sites(path)
	if err != nil {
		t.Fatal(err)
	}
	entries := func() []string {
		m, _ := filepath.Glob(filepath.Join(cache, "pyrr/code/*/*"))
		return m
	}
	check := func(what string) {
		t.Helper()
		known.Clear() // what another process would know
		got, err := SitesCached(path)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", what, diff)
		}
		if n := entries(); len(n) != 1 {
			t.Fatalf("%s: entries %v, want one", what, n)
		}
	}
	check("cold")
	good, err := os.ReadFile(entries()[0])
	if err != nil {
		t.Fatal(err)
	}
	check("warm")

	damaged := map[string][]byte{
		"empty":         {},
		"cut":           good[:len(good)/2],
		"not JSON":      []byte("sites"),
		"other file":    bytes.Replace(good, []byte(`"Ino":`), []byte(`"Ino":1`), 1),
		"other bytes":   bytes.Replace(good, []byte(` 0f31"`), []byte(` 0f32"`), 1),
		"more bytes":    bytes.Replace(good, []byte(` 0f31"`), []byte(` 0f3190"`), 1),
		"no bytes":      bytes.Replace(good, []byte(` 0f31"`), []byte(`"`), 1),
		"no hex":        bytes.Replace(good, []byte(` 0f31"`), []byte(` 0f3x"`), 1),
		"bad address":   bytes.Replace(good, []byte(` 0f31"`), []byte(`z 0f31"`), 1),
		"trailing junk": append(bytes.Clone(good), 'x'),
	}
	for name, b := range damaged {
		if name != "empty" && bytes.Equal(b, good) {
			t.Fatalf("%s: nothing damaged", name)
		}
		if err := os.WriteFile(entries()[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		check(name)
		if now, _ := os.ReadFile(entries()[0]); !bytes.Equal(now, good) {
			t.Errorf("%s: entry was not replaced", name)
		}
	}
	// Another kind of the same file comes into the same entry, and leaves this one there.
	pauses, err := PausesCached(path)
	if err != nil {
		t.Fatal(err)
	}
	check("another kind")
	known.Clear()
	if got, err := PausesCached(path); err != nil || !cmp.Equal(pauses, got) || len(readEntry(entries()[0], mustID(t, path))) != 2 {
		t.Errorf("another kind: %d pauses, not %d; %v", len(got), len(pauses), err)
	}
	// A cached answer is used: sites of another file, put under this one's name.
	fake := bytes.Replace(good, []byte(` 0f31"`), []byte(`0 0f31"`), 1)
	os.WriteFile(entries()[0], fake, 0o600)
	known.Clear()
	if got, _ := SitesCached(path); cmp.Equal(want, got) {
		t.Error("cache entry was not read")
	}
}

func mustID(t *testing.T, path string) usercache.FileKey {
	t.Helper()
	id, err := idOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestSitesCachedConcurrently(t *testing.T) {
	path := firstFile(systemFiles[0].globs)
	if path == "" {
		t.Skip("no ld.so here")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	known.Clear()
	want, err := Sites(path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				got, err := SitesCached(path)
				if err != nil || !cmp.Equal(want, got) {
					t.Errorf("got %d sites, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSitesCachedUnwritable(t *testing.T) {
	path := firstFile(systemFiles[0].globs)
	if path == "" {
		t.Skip("no ld.so here")
	}
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o600)
	t.Setenv("XDG_CACHE_HOME", file)
	known.Clear()
	if got, err := SitesCached(path); err != nil || len(got) == 0 {
		t.Errorf("got %d sites, %v", len(got), err)
	}
}

func TestSitesRefusesWhatMayBlock(t *testing.T) {
	for _, path := range []string{"/dev/zero", t.TempDir(), filepath.Join(t.TempDir(), "absent")} {
		done := make(chan error, 1)
		go func() { _, err := SitesCached(path); done <- err }()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s: no error", path)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("%s: blocks", path)
		}
	}
}

func BenchmarkSitesCachedHit(b *testing.B) {
	path := firstFile(systemFiles[0].globs)
	if path == "" {
		b.Skip("no ld.so here")
	}
	b.Setenv("XDG_CACHE_HOME", b.TempDir())
	if _, err := SitesCached(path); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := SitesCached(path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSites(b *testing.B) {
	for _, tt := range systemFiles {
		path := firstFile(tt.globs)
		if path == "" {
			continue
		}
		b.Run(tt.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Sites(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
