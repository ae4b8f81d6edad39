package headroom

import (
	"os"
	"strings"
	"testing"
)

func TestSmallPages(t *testing.T) {
	// Since Linux 5.0 (proc_pid_status(5)).
	enabled := func() string {
		b, err := os.ReadFile("/proc/self/status")
		_, rest, ok := strings.Cut(string(b), "THP_enabled:\t")
		if err != nil || !ok {
			t.Skip("the kernel does not tell whether a process gets huge pages")
		}
		line, _, _ := strings.Cut(rest, "\n")
		return line
	}
	before := enabled()
	undo := SmallPages()
	if got := enabled(); got != "0" {
		t.Errorf("THP_enabled is %s, not 0", got)
	}
	undo()
	if got := enabled(); got != before {
		t.Errorf("THP_enabled is %s afterwards, and was %s", got, before)
	}
}
