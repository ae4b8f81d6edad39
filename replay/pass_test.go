package replay_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/capture"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// A replay that passes over most buffered calls reports every event in order, and
// stops at the events at which it was told to stop.
// The same holds where calls are buffered as on older kernels.
func TestPassOver(t *testing.T) {
	t.Run("as here", func(t *testing.T) { passOver(t, capture.DispatchAny) })
	t.Run("by prctl", func(t *testing.T) { passOver(t, capture.DispatchCall) })
}

func passOver(t *testing.T, d capture.Dispatch) {
	t.Helper()
	const code = "import os\nfd = os.open('/etc/hostname', os.O_RDONLY)\nfor i in range(300): os.stat('/'); os.lseek(fd, i, 0); os.getpid()"
	rec := record(t, capture.Options{Command: []string{pythonOf(t), "-c", code}, Dispatch: d})
	const each = 50
	next, stood, passed := uint64(0), 0, 0
	_, err := replay.Batch(rec, replay.Options{
		Pass: func(_ int, number uint64, _ *recording.Event) bool { return number%each != 0 },
		OnEvent: func(p *replay.Process, th *replay.Thread, ev *recording.Event) error {
			if p.Number != next {
				t.Fatalf("event %d follows %d", p.Number, next)
			}
			next++
			switch {
			case ev.Stop != recording.StopBuffered:
			case th == nil && p.Number%each == 0:
				t.Errorf("event %d: the process is not there", p.Number)
			case th == nil:
				passed++
			default:
				if r := th.Regs(); r.Args() != ev.Args {
					t.Errorf("event %d: arguments %#x, not %#x", p.Number, r.Args(), ev.Args)
				}
				stood++
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if passed == 0 && stood == 0 {
		t.Skip("no buffered calls on this kernel")
	}
	if stood < 15 || passed < 800 {
		t.Errorf("stood at %d calls, passed over %d", stood, passed)
	}
}

// A process that shares memory with others makes calls that have nothing to do with that
// memory without a stop, as any other process, and replays.
func TestBufferBesideSharedMemory(t *testing.T) {
	const code = `import mmap, multiprocessing, os
lock, m = multiprocessing.Lock(), mmap.mmap(-1, 4096)
with lock: m[0] = 1
if os.fork() == 0:
    with lock: m[1] = m[0] + 1
    os._exit(0)
os.wait()
fd = os.open('/etc/hostname', os.O_RDONLY)
with lock: m[2] = m[1]
for i in range(300): os.pread(fd, 16, 0)
os.preadv(fd, [m], 0)
`
	rec := record(t, capture.Options{Command: []string{pythonOf(t), "-c", code}})
	stopped, buffered, others := 0, 0, 0
	_, err := replay.Batch(rec, replay.Options{OnEvent: func(_ *replay.Process, _ *replay.Thread, ev *recording.Event) error {
		if ev.Nr == unix.SYS_PREAD64 && ev.Args[2] == 16 {
			if ev.Stop == recording.StopBuffered {
				buffered++
			} else {
				stopped++
			}
		} else if ev.Stop == recording.StopBuffered {
			others++
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if others == 0 {
		t.Skip("no buffered calls on this kernel")
	}
	if stopped+buffered != 300 {
		t.Errorf("%d preads stopped, %d did not", stopped, buffered)
	}
	if buffered < 290 {
		t.Errorf("%d of 300 preads stopped", stopped)
	}
}

// Memory that is given back without a stop is given back on replay without one, except for
// where the program runs into the hole.
func TestFedUnmaps(t *testing.T) {
	const code = `import ctypes, mmap, socket
a, b = socket.socketpair()
a.setblocking(False)
for i in range(200):
    b.send(b'x')
    a.recv(1 << 18) # is mapped, cut, and unmapped
libc = ctypes.PyDLL(None)
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(1 << 16), 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, ctypes.c_size_t(0))
for i in range(16): ctypes.c_char.from_address(at + 4096 * i).value = b'y'
libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(1 << 16))
print(ctypes.c_char.from_address(at).value)
`
	rec := record(t, capture.Options{Command: []string{pythonOf(t), "-c", code}})
	res, err := replay.Batch(rec, replay.Options{})
	if err != nil {
		t.Fatal(err)
	}
	buffered, fed, segfault := 0, 0, false
	again, err := replay.Batch(rec, replay.Options{
		Pass: func(int, uint64, *recording.Event) bool { return true },
		OnEvent: func(_ *replay.Process, th *replay.Thread, ev *recording.Event) error {
			segfault = segfault || ev.Kind == recording.KindSignal && ev.Nr == int32(unix.SIGSEGV)
			if ev.Stop == recording.StopBuffered && (ev.Nr == unix.SYS_MUNMAP || ev.Nr == unix.SYS_MREMAP) {
				buffered++
				if th == nil {
					fed++
				}
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.Instructions != again.Instructions {
		t.Errorf("%d instructions, then %d", res.Instructions, again.Instructions)
	}
	if buffered == 0 {
		t.Skip("no buffered calls on this kernel")
	}
	if buffered < 300 || fed < buffered-20 || fed == buffered {
		t.Errorf("%d of %d calls that unmap stopped", buffered-fed, buffered)
	}
	if !segfault {
		t.Error("the program did not run into the hole")
	}
}
