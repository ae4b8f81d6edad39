package setup

import (
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// What a program is started with is what HeedSignals says, where this process was started
// to ignore the signals.
func TestHeedSignals(t *testing.T) {
	const variable = "PYRR_TEST_HEED"
	tell := "kill -INT $$; echo ignored"
	if how := os.Getenv(variable); how != "" {
		if !signal.Ignored(syscall.SIGINT) || !signal.Ignored(syscall.SIGHUP) {
			t.Error("they are not ignored")
		}
		if how == "heed" {
			HeedSignals()
		}
		out, _ := exec.Command("/bin/sh", "-c", tell).Output() // it may be killed
		t.Logf("the program: %q", out)
		return
	}
	for how, want := range map[string]string{"leave": `"ignored\n"`, "heed": `""`} {
		cmd := exec.Command("/bin/sh", "-c", `trap "" INT HUP; exec "$0" -test.v -test.run=TestHeedSignals`, os.Args[0])
		cmd.Env = append(os.Environ(), variable+"="+how)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "the program: "+want) {
			t.Errorf("%s: %v\n%s", how, err, out)
		}
	}
}
