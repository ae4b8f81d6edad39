package cpython

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCache(t *testing.T) {
	path := runtimeFile(t, interpreters()[0])
	want, err := FindClock(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	cache := Cache{dir}
	get := func(name string) {
		t.Helper()
		c, err := cache.FindClock(path)
		if err != nil || !cmp.Equal(c, want) {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(want, c))
		}
	}
	entry := func() string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("files of the cache: %v, %v", files, err)
		}
		return files[0]
	}
	get("empty cache")
	stored, err := os.ReadFile(entry())
	if err != nil {
		t.Fatal(err)
	}
	get("hit")

	// A hit is what is stored, not a new analysis.
	planted := bytes.Replace(stored, []byte(`"Sites":`), []byte(`"Sites":7000`), 1)
	if err := os.WriteFile(entry(), planted, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := cache.FindClock(path); err != nil || c.Sites < 7000 {
		t.Errorf("the cache is not used: %v", err)
	}
	testDamaged(t, stored, entry, get)

	t.Run("concurrent", func(t *testing.T) {
		file := entry()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if i%2 == 0 {
					os.Remove(file)
				}
				get("concurrent")
			})
		}
		wg.Wait()
		get("after them")
		entry() // no leftovers
	})
	t.Run("errors", func(t *testing.T) {
		for range 2 {
			if _, err := cache.FindClock("/bin/sh"); !errors.Is(err, ErrNotPython) {
				t.Error(err)
			}
		}
		if _, err := cache.FindClock("/nowhere"); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	})
	testChanged(t, path, cache)
	t.Run("unwritable", func(t *testing.T) {
		if c, err := (Cache{"/dev/null/x"}).FindClock(path); err != nil || c.Sites != want.Sites {
			t.Error(err)
		}
	})
}

// testChanged holds that a file that has changed is looked at again.
func testChanged(t *testing.T, path string, cache Cache) {
	t.Run("changed file", func(t *testing.T) {
		copied := filepath.Join(t.TempDir(), "python")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, b, 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := cache.FindClock(copied); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, b[:1000], 0o755); err != nil {
			t.Fatal(err)
		}
		if c, err := cache.FindClock(copied); err == nil {
			t.Errorf("found %v in a file cut short", c)
		}
	})
}

// testDamaged holds that an entry that is not what was stored is made again.
func testDamaged(t *testing.T, stored []byte, entry func() string, get func(name string)) {
	damage := map[string][]byte{
		"empty":             {},
		"cut":               stored[:len(stored)/2],
		"no JSON":           []byte("\x00\xff"),
		"other file":        bytes.Replace(stored, []byte(`"Ino":`), []byte(`"Ino":1`), 1),
		"null":              []byte("null"),
		"unknown register":  bytes.Replace(stored, []byte(`"Reg":"`), []byte(`"Reg":"x`), 1),
		"outside module":    bytes.Replace(stored, []byte(`"Addr":`), []byte(`"Addr":99999`), 1),
		"too many entries":  bytes.Replace(stored, []byte(`"Entries":256`), []byte(`"Entries":2560`), 1),
		"negative entries":  bytes.Replace(stored, []byte(`"Entries":256`), []byte(`"Entries":-1`), 1),
		"too long":          append(bytes.Clone(stored), bytes.Repeat([]byte(" "), maxClockSize)...),
		"neither result":    []byte(`{"File":` + string(stored[bytes.Index(stored, []byte(`{"Dev`)):bytes.Index(stored, []byte(`,"Clock`))]) + `}`),
		"version not known": bytes.Replace(stored, []byte(`"Minor":11`), []byte(`"Minor":99`), 1),
	}
	for name, b := range damage {
		if bytes.Equal(b, stored) {
			t.Fatalf("%s: not damaged", name)
		}
		if err := os.WriteFile(entry(), b, 0o600); err != nil {
			t.Fatal(err)
		}
		get(name)
		if b, err := os.ReadFile(entry()); err != nil || !bytes.Equal(b, stored) {
			t.Errorf("%s: the entry is not renewed: %v", name, err)
		}
	}
}

func TestStoredClock(t *testing.T) {
	c, err := find(fakePython(60, 0).build())
	if err != nil {
		t.Fatal(err)
	}
	b, err := MarshalClock(c)
	if err != nil {
		t.Fatal(err)
	}
	back, err := UnmarshalClock(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkFindClockCached(b *testing.B) {
	path := runtimeFile(b, interpreters()[0])
	cache := Cache{b.TempDir()}
	for b.Loop() {
		if _, err := cache.FindClock(path); err != nil {
			b.Fatal(err)
		}
	}
}

// MarshalClock gives the stored form of a Clock.
func MarshalClock(c *Clock) ([]byte, error) { return json.Marshal(c) }

// UnmarshalClock reads a stored Clock, and holds it to what one that was
// found has: no table in it makes Install write outside the module.
func UnmarshalClock(b []byte) (*Clock, error) {
	if len(b) > maxClockSize {
		return nil, fmt.Errorf("stored clock has %d bytes", len(b))
	}
	c := new(Clock)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("stored clock: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("stored clock: %w", err)
	}
	return c, nil
}
