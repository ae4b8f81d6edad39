package inject

import (
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/linux"
)

// sapphireRapids is what an Intel Xeon of that name answers, shortened to
// what matters here: it has most of what is hidden.
var sapphireRapids = leafTable{
	{0, 0}:    {0x20, 0x756e6547, 0x6c65746e, 0x49656e69}, // GenuineIntel
	{1, 0}:    {0x000806f8, 0x2a800800, 0x7ffefbff, 0xbfebfbff},
	{2, 0}:    {0x00feff01, 0x000000f0, 0, 0},
	{4, 0}:    {0xfc004121, 0x02c0003f, 0x0000003f, 0},
	{4, 1}:    {0xfc004122, 0x01c0003f, 0x0000003f, 0},
	{4, 2}:    {0xfc01c143, 0x03c0003f, 0x000007ff, 0},
	{4, 3}:    {0xfc1fc163, 0x0380003f, 0x0001bfff, 4},
	{5, 0}:    {0x40, 0x40, 3, 0x2020},
	{7, 0}:    {2, 0xf3bfbfff, 0xfb417ffe, 0xffdd4432},
	{7, 1}:    {0x00001c30, 0, 0, 0},
	{0xa, 0}:  {0x08300805, 0, 0xf, 0x8604},
	{0xb, 0}:  {1, 2, 0x100, 0x2a},
	{0xb, 1}:  {7, 0x70, 0x201, 0x2a},
	{0xd, 0}:  {0x000602e7, 0x2b00, 0x2b00, 0},
	{0xd, 1}:  {0x1f, 0x2440, 0x1800, 0},
	{0xd, 2}:  {0x100, 0x240, 0, 0},
	{0xd, 5}:  {0x40, 0x440, 0, 0},
	{0xd, 6}:  {0x200, 0x480, 0, 0},
	{0xd, 7}:  {0x400, 0x680, 0, 0},
	{0xd, 9}:  {8, 0xa80, 0, 0},
	{0xd, 17}: {0x40, 0xac0, 2, 0},
	{0xd, 18}: {0x2000, 0xb00, 6, 0},
	{0x14, 0}: {1, 0x5f, 7, 0},
	{0x1a, 0}: {0x40000001, 0, 0, 0},
	{0x1f, 0}: {1, 2, 0x100, 0x2a},
	{0x1f, 1}: {7, 0x70, 0x201, 0x2a},

	{0x80000000, 0}: {0x80000008, 0, 0, 0},
	{0x80000001, 0}: {0, 0, 0x121, 0x2c100800},
	{0x80000006, 0}: {0, 0, 0x08008040, 0},
	{0x80000007, 0}: {0, 0, 0, 0x100},
	{0x80000008, 0}: {0x3934, 0x200, 0, 0},
}

// x87, SSE, AVX, AVX-512, PKRU, AMX
const sapphireRapidsXCR0 = 0x602e7

var v3 = []string{"abm", "aes", "avx", "avx2", "bmi1", "bmi2", "cx16", "f16c", "fma", "lahf_lm", "movbe",
	"pclmulqdq", "pni", "popcnt", "rdtscp", "sse4_1", "sse4_2", "ssse3", "xsave"}

func TestFeatures(t *testing.T) {
	spr := newCPU(sapphireRapids, sapphireRapidsXCR0, Options{})
	if diff := cmp.Diff(v3, spr.Features()); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
	wide := spr.With(Options{AVX512: true})
	for _, f := range append([]string{"avx512f", "avx512_fp16", "sha_ni", "adx", "vaes", "avx_vnni", "gfni"}, v3...) {
		if !slices.Contains(wide.Features(), f) {
			t.Errorf("with AVX512: no %s in %v", f, wide.Features())
		}
	}
	if spr.XCR0 != 7 || wide.XCR0 != 0xe7 || wide.HostXCR0 != sapphireRapidsXCR0 {
		t.Errorf("XCR0 %#x, wide %#x, of the processor %#x", spr.XCR0, wide.XCR0, wide.HostXCR0)
	}

	// The narrow view of a processor replays on a lesser processor, the wide view doesn't.
	haswell := leafTable{}
	for k, v := range sapphireRapids {
		if k.leaf != 0xd || k.sub <= 2 {
			haswell[k] = v
		}
	}
	haswell[leafKey{7, 0}] = [4]uint32{ebx: 0x2fbb}
	haswell[leafKey{7, 1}] = [4]uint32{}
	lesser := newCPU(haswell, 7, Options{})
	if m := lesser.Missing(spr.Features()); len(m) > 0 {
		t.Errorf("x86-64-v3 lacks %v", m)
	}
	if m := lesser.Missing(wide.Features()); !slices.Contains(m, "avx512f") || slices.Contains(m, "avx2") {
		t.Errorf("missing %v", m)
	}
	// What the operating system doesn't save can't be used.
	if m := newCPU(sapphireRapids, 3, Options{}).Missing([]string{"avx2", "sse4_2"}); !cmp.Equal(m, []string{"avx2"}) {
		t.Errorf("without AVX state: missing %v", m)
	}
	if m := Host().Missing(Host().Features()); len(m) > 0 {
		t.Errorf("this processor lacks its own %v", m)
	}
	if m := Host().Missing([]string{"flux capacitor"}); len(m) != 1 {
		t.Errorf("missing %v", m)
	}
}

func TestHidden(t *testing.T) {
	for _, o := range []Options{{}, {AVX512: true}} {
		c := newCPU(sapphireRapids, sapphireRapidsXCR0, o)
		leaf := func(leaf, sub uint32) [4]uint32 {
			a, b, cx, d := c.Cpuid(leaf, sub)
			return [4]uint32{a, b, cx, d}
		}
		for _, h := range []struct {
			name      string
			leaf, sub uint32
			reg       int
			mask      uint32
		}{
			{"rdrand", 1, 0, ecx, 1 << 30}, {"monitor", 1, 0, ecx, 1 << 3}, {"APIC id", 1, 0, ebx, 0xff << 24},
			{"rdseed, hle, rtm", 7, 0, ebx, 1<<18 | 1<<4 | 1<<11},
			{"pku, ospke, waitpkg, shadow stack, rdpid", 7, 0, ecx, 1<<3 | 1<<4 | 1<<5 | 1<<7 | 1<<22},
			{"amx, ibt, uintr, hybrid", 7, 0, edx, 1<<22 | 1<<24 | 1<<25 | 1<<20 | 1<<5 | 1<<15},
			{"x2APIC id", 0xb, 1, edx, ^uint32(0)}, {"x2APIC id", 0x1f, 0, edx, ^uint32(0)},
			{"core type", 0x1a, 0, eax, ^uint32(0)}, {"monitor leaf", 5, 0, eax, ^uint32(0)},
			{"xsaveopt, xsavec, xgetbv1, xsaves", 0xd, 1, eax, ^uint32(0)},
			{"tile data", 0xd, 18, eax, ^uint32(0)}, {"pkru", 0xd, 9, eax, ^uint32(0)},
			{"beyond the last leaf", 0x20, 0, eax, ^uint32(0)}, {"far beyond", 0xffffffff, 9, edx, ^uint32(0)},
		} {
			if got := leaf(h.leaf, h.sub)[h.reg]; got&h.mask != 0 {
				t.Errorf("%+v: %s shows in leaf %#x.%d: %#x", o, h.name, h.leaf, h.sub, got)
			}
		}
		if got := leaf(0xd, 0); uint64(got[eax]) != c.XCR0 || int(got[ebx]) != c.XSaveSize || c.XSaveSize < c.HostXSaveSize {
			t.Errorf("%+v: leaf 13 %#x", o, got)
		}
		if got := leaf(4, 3); got != sapphireRapids[leafKey{4, 3}] {
			t.Errorf("%+v: leaf 4 %#x", o, got)
		}
	}
}

// TestHostIsConstant asks from many threads, which run on any processor.
func TestHostIsConstant(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("no CPUID here")
	}
	ask := func() (all [][4]uint32) {
		for _, leaf := range []uint32{0, 1, 2, 4, 7, 0xb, 0xd, 0x1f, 0x80000001, 0x80000008, 0x8000001d, 0x8000001e} {
			for sub := range uint32(4) {
				a, b, c, d := Host().Cpuid(leaf, sub)
				all = append(all, [4]uint32{a, b, c, d})
			}
		}
		return all
	}
	want := ask()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if got := ask(); !cmp.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	wg.Wait()
}

func TestEmulate(t *testing.T) {
	const before, rip = 0xfffffffffffffff0, 0x1000
	full := func() *linux.Regs {
		r := &linux.Regs{Rip: rip, Eflags: 0xed6}
		for i := range 16 {
			setReg(r, i, 8, before)
		}
		return r
	}
	cpu := newCPU(sapphireRapids, sapphireRapidsXCR0, Options{})
	reg := func(r *linux.Regs, n int) uint64 {
		return []uint64{r.Rax, r.Rcx, r.Rdx, r.Rbx, r.Rsp, r.Rbp, r.Rsi, r.Rdi, r.R8, r.R9, r.R10, r.R11, r.R12, r.R13, r.R14, r.R15}[n]
	}
	for _, tt := range []struct {
		name    string
		code    []byte
		changes []int // registers
		check   func(r *linux.Regs) bool
	}{
		{"rdtsc", []byte{0x0f, 0x31}, []int{0, 2}, func(r *linux.Regs) bool { return r.Rax>>32 == 0 && r.Rdx>>32 == 0 }},
		{"rdtscp", []byte{0x0f, 0x01, 0xf9}, []int{0, 1, 2}, func(r *linux.Regs) bool { return r.Rcx == 0 }},
		{"cpuid", []byte{0x0f, 0xa2}, []int{0, 1, 2, 3}, func(r *linux.Regs) bool { return r.Rax == 0 && r.Rbx == 0 }}, // leaf 0xfffffff0
		{"xgetbv", []byte{0x0f, 0x01, 0xd0}, []int{0, 2}, func(r *linux.Regs) bool { return r.Rax == 0 && r.Rdx == 0 }},
		{"rdrand eax", []byte{0x0f, 0xc7, 0xf0}, []int{0}, func(r *linux.Regs) bool { return r.Rax>>32 == 0 && r.Eflags&0x8d5 == 1 }},
		{"rdrand r15", []byte{0x49, 0x0f, 0xc7, 0xf7}, []int{15}, func(r *linux.Regs) bool { return r.Eflags&0x8d5 == 1 }},
		{"rdseed di", []byte{0x66, 0x0f, 0xc7, 0xff}, []int{7}, func(r *linux.Regs) bool { return r.Rdi>>16 == before>>16 }},
		{"rdpid r9", []byte{0xf3, 0x41, 0x0f, 0xc7, 0xf9}, []int{9}, func(r *linux.Regs) bool { return r.R9 == 0 && r.Eflags == 0xed6 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, ok := decode(tt.code)
			site, isSite := siteOf(in, tt.code)
			if !ok || !isSite || site.Len != len(tt.code) {
				t.Fatalf("decoded %+v as %+v", in, site)
			}
			r := full()
			Emulate(site, cpu, nil, r)
			if r.Rip != rip+uint64(len(tt.code)) {
				t.Errorf("rip %#x", r.Rip)
			}
			for n := range 16 {
				if !slices.Contains(tt.changes, n) && reg(r, n) != before {
					t.Errorf("register %d changed", n)
				}
			}
			if !tt.check(r) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestTimestampsRise(t *testing.T) {
	views := []*CPU{Host(), Host().With(Options{AVX512: true})}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			var last uint64
			for range 2000 {
				now := views[i%2].timestamp()
				if now <= last {
					t.Errorf("%d after %d", now, last)
					return
				}
				last = now
			}
		})
	}
	wg.Wait()
}
