package recording

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pyrr/internal/usercache"
)

// blockCache keeps the packed form of blocks of mapped files between
// recordings: the interpreter and its libraries are the same in most of them,
// and packing them costs more than recording a short program. It is a folder
// that only the user can write into. A block is found by the SHA-256 of its
// file up to its end, and by its length: that is computed anyway, of what was
// read just now. A damaged or missing one is packed again.
type blockCache struct {
	dir    string // "" without a cache
	pruned bool
}

const (
	// minCached is the least size of a block worth a file of its own.
	minCached = 32 << 10
	// cacheLimit is the size above which what was used longest ago goes.
	cacheLimit = 1 << 30
	// cachedFor is how long a file has been as it is whose blocks are kept: what was
	// made for this run is nobody else's.
	cachedFor = time.Minute
	// blockCacheVariable names another folder, or is empty for none.
	blockCacheVariable = "PYRR_BLOCKS"
)

func openBlockCache() *blockCache {
	if dir, set := os.LookupEnv(blockCacheVariable); set {
		return &blockCache{dir: dir}
	}
	dir, err := usercache.Private("blocks")
	if err != nil {
		return &blockCache{}
	}
	return &blockCache{dir: dir}
}

// path is where the block is kept that ends a file of which sum was computed,
// "" where none is. The length tells it from one that began elsewhere.
func (c *blockCache) path(sum hash.Hash, raw []byte) string {
	if c == nil || c.dir == "" || len(raw) < minCached {
		return ""
	}
	name := hex.EncodeToString(sum.Sum(nil))
	return filepath.Join(c.dir, name[:2], fmt.Sprintf("%s-%x", name[2:], len(raw)))
}

// cached is where the block of a mapped file is kept that was read just now.
func (st *store) cached(e *entry, block []byte) string {
	if st.began.Sub(time.Unix(0, e.Mtime)) < cachedFor {
		return ""
	}
	return st.w.blocks.path(e.sum, block)
}

// get appends the packed block at path to b.
func (c *blockCache) get(b []byte, path string) (packed []byte, ok bool) {
	if path == "" {
		return b, false
	}
	f, err := os.Open(path)
	if err != nil {
		return b, false
	}
	defer f.Close()
	const sumSize = 4
	st, err := f.Stat()
	if err != nil || st.Size() <= sumSize || st.Size() > 2*blockSize {
		return b, false
	}
	n := len(b)
	b = slices.Grow(b, int(st.Size()))[:n+int(st.Size())]
	if _, err := io.ReadFull(f, b[n:]); err != nil {
		return b[:n], false
	}
	end := len(b) - sumSize
	if crc32.Checksum(b[n:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return b[:n], false
	}
	usercache.Used(path, st)
	return b[:end], true
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
