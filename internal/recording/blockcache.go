package recording

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"

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

// put keeps a packed block. Errors are not told: it is a cache.
func (c *blockCache) put(path string, packed []byte) {
	if path == "" {
		return
	}
	if !c.pruned {
		c.pruned = true
		usercache.Prune(c.dir, cacheLimit, 0)
	}
	_ = usercache.WriteFile(path, binary.LittleEndian.AppendUint32(slices.Clone(packed), crc32.Checksum(packed, castagnoli)))
}
