package capture

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A thread that waits in native code for another one, in a loop that counts its rounds,
// is not found to wait. It does not wait for ever: the recording ends, and the program
// goes on.
func TestCountsWhileItWaits(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	defer func(d time.Duration) { nativeShare = d }(nativeShare)
	nativeShare = 300 * time.Millisecond
	const code = `
import ctypes, mmap, threading, time
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# xor eax, eax; inc rax; cmp byte [rdi], 0; je to inc; ret
code.write(b"\x48\x31\xc0\x48\xff\xc0\x80\x3f\x00\x74\xf8\xc3")
until = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
flag = ctypes.c_byte(0)
t = threading.Thread(target=until, args=(ctypes.addressof(flag),))
t.start()
time.sleep(0.1)
flag.value = 1
t.join()
raise SystemExit(7)
`
	info, said := recordCode(t, python, code)
	if info.Status != 7 {
		t.Errorf("status %d, said %q", info.Status, said)
	}
	if want := "ran native code without a system call for 300ms while others waited"; !strings.Contains(strings.Join(said, "\n"), want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// A thread that waits in such a loop for another process, while the thread that would wake
// that one waits for the slot, is given up soon: where nothing could be left to time, no
// place in the loop is one that a replay finds.
func TestWaitsForAnotherProcess(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	defer func(d time.Duration) { nativeShare = d }(nativeShare)
	nativeShare = time.Hour
	const code = `
import ctypes, mmap, os, threading
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
# cmp byte [rdi], 0; je to it; ret
code.write(b"\x80\x3f\x00\x74\xfb\xc3")
until = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
both = mmap.mmap(-1, 4096)
flag = ctypes.c_byte.from_buffer(both)
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.read(r, 1)
    flag.value = 1
    os._exit(0)
t = threading.Thread(target=until, args=(ctypes.addressof(flag),))
t.start()
threading.Event().wait(1) # the other one waits by then
os.write(w, b".")
t.join()
raise SystemExit(7 + os.waitpid(pid, 0)[1])
`
	info, said := recordCode(t, python, code)
	if info.Status != 7 {
		t.Errorf("status %d, said %q", info.Status, said)
	}
	if want := "waits in a loop for memory that it shares with other processes"; !strings.Contains(strings.Join(said, "\n"), want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// What computes for less is waited for, and recorded to its end.
func TestComputesWhileOthersWait(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	const code = `
import hashlib, threading, time
t = threading.Thread(target=hashlib.pbkdf2_hmac, args=("sha256", b"a", b"b", 600_000))
t.start()
for _ in range(3):
    time.sleep(0.01)
t.join()
raise SystemExit(7)
`
	info, said := recordCode(t, python, code)
	if info.Status != 7 || len(said) > 0 {
		t.Errorf("status %d, said %q", info.Status, said)
	}
}
