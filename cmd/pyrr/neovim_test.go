//go:build linux && amd64

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/setup"
)

// editorProgram is what editors travel through.
const editorProgram = `class Job:
    def __init__(self, n):
        self.n = n

    def run(self, step):
        total = 0
        for i in range(3):
            total += i * step  # total so far
        self.n = total
        return total

job = Job(7)
print(job.run(2), flush=True)
`

// TestNeovim has a real Neovim with nvim-dap go through a recording, forwards and back,
// and complete in its REPL; docs/editors.md has what it prints.
func TestNeovim(t *testing.T) {
	dap := setup.Path("nvim-dap")
	if _, err := os.Stat(dap); err != nil {
		t.Skip("no nvim-dap: scripts/neovim.sh makes it of the repository that PYRR_NVIM_DAP names")
	}
	nvim, err := exec.LookPath("nvim")
	if err != nil {
		t.Skip("there is no Neovim: apt-get install neovim")
	}
	rec := recordText(t, editorProgram)
	dir := filepath.Dir(rec)
	pyrr := filepath.Join(t.TempDir(), "pyrr")
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, pyrr) // TestMain runs main for that name
	}
	if err != nil {
		t.Fatal(err)
	}
	session, err := filepath.Abs("testdata/neovim/session.lua")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("timeout", "180", nvim, "--clean", "--headless", "--cmd", "set rtp+="+dap, "-c", "luafile "+session)
	cmd.Env = append(os.Environ(), "PYRR="+pyrr, "APP="+filepath.Join(dir, "app.py"), "REC="+rec, "HOME="+t.TempDir(), "XDG_CACHE_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, said.String())
	}
	doc, err := os.ReadFile("../../docs/editors.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(out), "\n"); n < 9 {
		t.Errorf("%d lines", n)
	}
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(string(doc), "    "+strings.TrimRight(line, "\n")) {
			t.Errorf("docs/editors.md does not have: %s", line)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", out, said.String())
	}
}
