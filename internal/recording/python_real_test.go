package recording_test

import (
	"context"
	"path/filepath"
	"testing"

	"pyrr/capture"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
)

// TestReaderByTheDocumentOfAProgram reads what the recorder writes of a real
// program, with a thread and a child.
func TestReaderByTheDocumentOfAProgram(t *testing.T) {
	if r := probe.Machine(); !r.CanRecord() {
		t.Skip("this machine can't record")
	}
	dir := filepath.Join(t.TempDir(), "r.pyrr.part")
	script := "import os, threading\nt = threading.Thread(target=len, args=('',))\nt.start()\nt.join()\nif os.fork(): os.wait()\n"
	if _, err := capture.Record(context.Background(), capture.Options{Command: []string{"python3", "-S", "-c", script}, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	recording.ReadByPython(t, dir)
}
