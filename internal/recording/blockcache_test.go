package recording

import (
	"bytes"
	"os"
	"testing"
)

func TestBlockCacheGivesBackWhatWasPut(t *testing.T) {
	c := &blockCache{dir: t.TempDir()}
	raw := bytes.Repeat([]byte("block "), 10_000)
	_, path, ok := c.get(nil, raw)
	if ok || path == "" {
		t.Fatalf("an empty cache: %q, %v", path, ok)
	}
	c.put(path, []byte("packed"))
	got, _, ok := c.get([]byte("head "), raw)
	if !ok || string(got) != "head packed" {
		t.Errorf("got %q, %v", got, ok)
	}
	if _, _, ok := c.get(nil, append(raw, 1)); ok {
		t.Error("another block is found too")
	}
	if err := os.WriteFile(path, []byte("pzcked\x00\x00\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _, ok := c.get(nil, raw); ok {
		t.Errorf("a damaged block is given out: %q", got)
	}
	if _, path, _ := c.get(nil, raw[:100]); path != "" {
		t.Error("a small block is kept")
	}
}
