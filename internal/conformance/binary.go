package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"pyrr/internal/setup"
)

// built is the folder of the binary, where one was built.
var built string

// Binary is the pyrr under test: that of PYRR_BINARY, or one that is built once, as it is
// released. RunTests removes it.
var Binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PYRR_BINARY"); path != "" {
		return path, nil
	}
	dir, err := os.MkdirTemp("", "pyrr-binary-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "pyrr")
	cmd := exec.Command("go", "build", "-o", path, "pyrr/cmd/pyrr")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build pyrr: %w\n%s", err, out)
	}
	return path, nil
})

// RunTests runs the tests of a package (testing.M), and returns their status.
func RunTests(m interface{ Run() int }) int {
	setup.HeedSignals()
	defer func() {
		if built != "" {
			os.RemoveAll(built)
		}
	}()
	return m.Run()
}
