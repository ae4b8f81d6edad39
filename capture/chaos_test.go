package capture

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Chaos finds a window between two bytecodes in which another thread makes a program
// fail or hang, mostly within twenty runs. Natively the fault hardly ever shows: threads
// switch after 5 ms there, and by then all is done. The number of runs depends on the seed, on
// how the kernel wakes threads and on chance, so the test allows for far more.
// scripts/races.sh measures it under all interpreters.
func TestChaosFindsRaces(t *testing.T) {
	const most = 300
	seeds := []uint64{3, 17, 43, 57, 51, 91, 63, 93} // in most cases one of them is enough
	for i := range uint64(most) {
		seeds = append(seeds, 100+i)
	}
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip(err)
	}
	// Others in that folder have races of a Python without the GIL.
	programs := []string{"abba", "abba_close", "changed_while_walked", "check_then_act", "double_close", "half_made", "lost_update", "lost_wakeup", "made_twice"}
	total := 0
	for _, name := range programs {
		prog := filepath.Join("../fixtures/races", name+".py")
		began, found := time.Now(), false
		for _, seed := range seeds {
			if found {
				break
			}
			total++
			dir := filepath.Join(t.TempDir(), "x.pyrr.part")
			sh := []string{"/bin/sh", "-c", "exec " + python + " -I -S " + prog + " 2>/dev/null"}
			info, err := Record(context.Background(), Options{Command: sh, Dir: dir, Schedule: Schedule{Chaos: true, Seed: seed}, Warn: func(s string) { t.Log(s) }})
			if err != nil {
				t.Fatal(err)
			}
			if found = info.Status == 1; found {
				t.Logf("%s: seed %d, %v", filepath.Base(prog), seed, time.Since(began))
			} else if info.Status != 0 {
				t.Fatalf("%s: status %d", prog, info.Status)
			}
			os.RemoveAll(dir)
		}
		if !found {
			t.Errorf("%s: %d runs of it were right", prog, len(seeds))
		}
	}
	t.Logf("%d runs", total)
}
