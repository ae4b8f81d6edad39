package inject

import (
	"bytes"
	"os"
	"testing"
	"time"

	"pyrr/internal/setup"
)

// smallELF is an ELF file of a few kilobytes with code, unwind information
// and one site: the stand-in vDSO with its first instruction replaced.
func smallELF() []byte {
	l := assemble(0)
	b := make([]byte, dataOff)
	copy(b, l.vdso())
	copy(b[codeOff:], l.code)
	copy(b[codeOff:], "\x0f\xa2") // cpuid
	return b[:codeOff+len(l.code)]
}

func TestSmallELF(t *testing.T) {
	sites, _, err := scan(bytes.NewReader(smallELF()))
	if err != nil || len(sites) != 1 || sites[0].Insn != Cpuid || sites[0].Off != codeOff {
		t.Errorf("got %v, %v, want one cpuid", sites, err)
	}
}

func addSeeds(f *testing.F) {
	b := smallELF()
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Add(b[:64])
	for _, off := range []int{0x20, 0x28, 0x38, 0x3c, 0x48, 0x50, 0x60, 0x90, 0xe0, 0x300, 0x310, 0x318, 0x400, 0x440} {
		c := bytes.Clone(b)
		for i := range 8 {
			c[off+i] ^= 0xff
		}
		f.Add(c)
	}
}

// FuzzSites scans damaged files: no panic, no long time, and sites that are
// what they say.
func FuzzSites(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		began := time.Now()
		sites, _, err := scan(bytes.NewReader(data))
		if d := time.Since(began); setup.Slow(d, 20*time.Second) {
			t.Errorf("took %v", d)
		}
		if err != nil && len(sites) > 0 {
			t.Errorf("sites and %v", err)
		}
		end := uint64(0)
		for _, s := range sites {
			if s.Off > uint64(len(data)) || uint64(s.Len) > uint64(len(data))-s.Off || s.Len > maxSite {
				t.Fatalf("%+v is outside the file of %d bytes", s, len(data))
			}
			if !bytes.Equal(data[s.Off:][:s.Len], s.Orig[:s.Len]) {
				t.Fatalf("%+v: the file has % x", s, data[s.Off:][:s.Len])
			}
			if s.Vaddr < end {
				t.Fatalf("%+v overlaps the one before", s)
			}
			end = s.Vaddr + uint64(s.Len)
			got, ok := decodeSite(encodeSite(s))
			if !ok || got != s {
				t.Fatalf("%+v comes back from the cache as %+v", s, got)
			}
		}
	})
}

// FuzzBuild takes the vDSO from a traced process, so it may be anything.
func FuzzBuild(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, vdso []byte) {
		const base = 0x7fff_0000_0000
		img, err := Build(areaBaseForFuzz, vdso, base)
		if err != nil {
			return
		}
		if r := img.Time.Real; r != 0 && (r <= base || r >= base+uint64(len(vdso))) {
			t.Errorf("clock_gettime at %#x of a vDSO with %d bytes at %#x", r, len(vdso), base)
		}
	})
}

const areaBaseForFuzz = 0x10_0000_0000

func FuzzDecode(f *testing.F) {
	for _, s := range []string{"\x0f\xa2", "\x66\x66\x48\xe8\x01\x02\x03\x04", "\x62\xf3\xf5\x48\x25\xc2\x96", "\x8f\xe9\x78\x82\xc0", "\x67\xa0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in, ok := decode(b)
		if ok && (in.len < 1 || in.len > len(b) || in.len > maxInsn) {
			t.Fatalf("% x: length %d", b, in.len)
		}
		if ok {
			// The bytes behind an instruction have no part in it.
			if again, ok := decode(b[:in.len]); !ok || again != in {
				t.Fatalf("% x: %+v, alone %+v", b, in, again)
			}
			flowOf(in, b, 0)
			siteOf(in, b)
		}
	})
}

func FuzzFrameSpans(f *testing.F) {
	f.Add(ehFrameOf(0x300, 0x1000, 0x200, nil), uint64(0x300))
	f.Add([]byte("\xff\xff\xff\xff\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01zPLR\x00"), uint64(0))
	if b, err := os.ReadFile("/proc/self/exe"); err == nil {
		f.Add(b[:min(len(b), 4096)], uint64(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, addr uint64) {
		frameSpans(data, addr, func(s span) {
			if s.end <= s.start {
				t.Errorf("%+v is empty", s)
			}
		})
	})
}
