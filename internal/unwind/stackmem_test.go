package unwind

import "testing"

// zeros is memory that is all there, and all zeros.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ uint64) error       { clear(p); return nil }
func (zeros) ReadSome(p []byte, _ uint64) (got int) { clear(p); return len(p) }

// TestExtent: as much of a stack as one walk needed is read at once for the next
// walk, and never more than the block that there is for it.
func TestExtent(t *testing.T) {
	const sp = 0x7ffd4a90f000
	for _, tt := range []struct {
		high uint64 // the highest word
		want int
	}{{0, page}, {page - 8, page}, {page, 2 * page}, {firstBlock - 16, firstBlock}, {firstBlock - 8, firstBlock}, {firstBlock, firstBlock}, {5 * firstBlock, firstBlock}} {
		var block []byte
		first := firstBlock
		for range 2 {
			st := stackMemory{m: zeros{}, buf: block, first: first}
			for _, at := range []uint64{0, tt.high} {
				if _, err := st.u64(sp + at); err != nil {
					t.Fatal(err)
				}
			}
			block, first = st.buf[:0], st.extent()
			if first != tt.want {
				t.Errorf("%d bytes above the stack pointer: %d are read, want %d", tt.high, first, tt.want)
			}
		}
	}
}
