package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// arrowsProgram lets a spawned child wait for a semaphore that it knows only by its name, for
// a file's lock that is lost by a close, and for bytes of a file.
const arrowsProgram = `import fcntl, multiprocessing, os, time
def child(lock, folder):
    with lock:
        pass
    whole = open(os.path.join(folder, "whole"), "w")
    fcntl.flock(whole, fcntl.LOCK_EX)
    some = open(os.path.join(folder, "some"), "w")
    fcntl.lockf(some, fcntl.LOCK_EX, 4, 8)
if __name__ == "__main__":
    folder, context = os.getcwd(), multiprocessing.get_context("spawn")
    lock = context.Lock()
    lock.acquire()
    whole, some = open(os.path.join(folder, "whole"), "w"), open(os.path.join(folder, "some"), "w")
    fcntl.flock(whole, fcntl.LOCK_EX)
    fcntl.lockf(some, fcntl.LOCK_EX)
    p = context.Process(target=child, args=(lock, folder))
    p.start()
    time.sleep(PAUSE)
    lock.release()
    time.sleep(PAUSE / 4)
    whole.close()
    time.sleep(PAUSE / 4)
    fcntl.lockf(some, fcntl.LOCK_UN, 4, 0)  # not those that are waited for
    fcntl.lockf(some, fcntl.LOCK_UN, 8, 4)
    p.join()
`

// TestPageArrows holds the arrows between processes that share no memory by a fork, and
// those of locks on files.
func TestPageArrows(t *testing.T) {
	tracedPython(t)
	arrows := [][2]string{{"futex(", "futex("}, {"close(", "flock("}, {"fcntl(", "fcntl("}}
	// On a busy machine a release may come before the other process waits: then a longer pause
	// shows the arrow.
	for _, pause := range []string{"1", "4", "16", ""} {
		if pause == "" {
			t.Fatal("there is a release without an arrow to the process that waits for it")
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "arrows.py"), []byte("PAUSE = "+pause+"\n"+arrowsProgram), 0o644); err != nil {
			t.Fatal(err)
		}
		rec, file := filepath.Join(dir, "arrows.pyrr.zip"), filepath.Join(dir, "arrows.html")
		cmd := exec.Command(os.Args[0], "record", "-o", rec, testPython(), "-I", "arrows.py")
		cmd.Args[0], cmd.Dir = "pyrr", dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if status, _, errs := capturePyrr("report", "--variables", "never", "-o", file, rec); status != 0 {
			t.Fatalf("report: %s", errs)
		}
		d, all := readPage(t, file), true
		for _, a := range arrows {
			found := false
			for p := range d.Procs {
				found = found || p > 0 && d.woke(0, a[0], uint64(p), a[1])
			}
			if !found {
				t.Logf("after a pause of %s s: no arrow from %s…) to %s…)", pause, a[0], a[1])
				all = false
			}
		}
		if all {
			return
		}
	}
}
