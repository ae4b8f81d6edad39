package recording

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pyrr/internal/usercache"
)

// blockCache keeps the packed form of blocks of mapped files between
// recordings: the interpreter and its libraries are the same in most of them,
// and packing them costs more than recording a short program. It is a folder
// of the user's own; a block is found by the SHA-256 of its content, and a
// damaged or missing one is packed again.
type blockCache struct {
	dir    string // "" without a cache
	pruned bool
}

const (
	// minCached is the least size of a block worth a file of its own.
	minCached = 32 << 10
	// cacheLimit is the size above which the oldest blocks go.
	cacheLimit = 1 << 30
)

func openBlockCache() *blockCache {
	dir, err := usercache.Dir("blocks")
	if err != nil {
		return &blockCache{}
	}
	return &blockCache{dir: dir}
}

func (c *blockCache) path(raw []byte) string {
	sum := sha256.Sum256(raw)
	name := hex.EncodeToString(sum[:])
	return filepath.Join(c.dir, name[:2], name[2:])
}

// get appends the packed form of raw to b. The path is where put keeps it
// otherwise, "" if it is not to be kept.
func (c *blockCache) get(b, raw []byte) (packed []byte, path string, ok bool) {
	if c == nil || c.dir == "" || len(raw) < minCached {
		return b, "", false
	}
	path = c.path(raw)
	data, err := os.ReadFile(path)
	const sumSize = 4
	if err != nil || len(data) <= sumSize {
		return b, path, false
	}
	body := data[:len(data)-sumSize]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(data[len(body):]) {
		return b, path, false
	}
	return append(b, body...), path, true
}

// put keeps a packed block. Trouble is nobody's concern: it is a cache.
func (c *blockCache) put(path string, packed []byte) {
	if path == "" {
		return
	}
	if !c.pruned {
		c.pruned = true
		c.prune()
	}
	_ = usercache.WriteFile(path, binary.LittleEndian.AppendUint32(slices.Clone(packed), crc32.Checksum(packed, castagnoli)))
}

// prune removes the oldest blocks while the cache is above its limit.
func (c *blockCache) prune() {
	type block struct {
		path string
		size int64
		time time.Time
	}
	var all []block
	var total int64
	filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			old := strings.HasPrefix(d.Name(), ".new-") && time.Since(info.ModTime()) > time.Hour
			if old {
				os.Remove(path)
				return nil
			}
			all = append(all, block{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
		return nil
	})
	if total <= cacheLimit {
		return
	}
	slices.SortFunc(all, func(a, b block) int { return a.time.Compare(b.time) })
	for _, b := range all {
		if total <= cacheLimit/2 {
			break
		}
		if os.Remove(b.path) == nil {
			total -= b.size
		}
	}
}
