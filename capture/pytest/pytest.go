// Package pytest holds the plugin by which pytest tells the recorder where
// its tests begin and end. It is put into a folder that the recorder adds to
// the PYTHONPATH of the programs that it records; pytest finds it there by
// its entry point, and unittest by a sitecustomize that makes way for any other.
// It decides nothing: what is kept is the recorder's to say. Begin with Install
// (pytest.go), then pyrr_pytest.py.
package pytest

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

//go:embed pyrr_pytest.py
var plugin []byte

//go:embed pyrr_interrupt.py
var interrupt []byte

//go:embed pyrr_unittest.py
var unittest []byte

//go:embed sitecustomize.py
var sitecustomize []byte

const (
	metadata   = "Metadata-Version: 2.1\nName: pyrr-pytest\nVersion: 1\n"
	entryPoint = "[pytest11]\npyrr_pytest = pyrr_pytest\n"
	info       = "pyrr_pytest-1.dist-info"
)

// Names of files in the plugin's folder.
const (
	recorderFile = "recorder"
	resumeFile   = "resume"
	reportsFile  = "reports"
	itemsFile    = "items." // and the number of the process
)

// Install writes the plugin to a new temporary folder and returns that. All
// users can read it: a program may change its user before it runs tests. The command
// that is recorded must be a child of this process.
func Install() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "pyrr-pytest-"); err != nil {
		return "", fmt.Errorf("make a folder for the pytest plugin: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
			err = fmt.Errorf("write the pytest plugin: %w", err)
		}
	}()
	if err = os.Mkdir(filepath.Join(dir, info), 0o755); err != nil {
		return "", err
	}
	for name, content := range map[string][]byte{
		"pyrr_pytest.py":                        plugin,
		"pyrr_interrupt.py":                     interrupt,
		"pyrr_unittest.py":                      unittest,
		"sitecustomize.py":                      sitecustomize,
		recorderFile:                            []byte(strconv.Itoa(os.Getpid())),
		filepath.Join(info, "METADATA"):         []byte(metadata),
		filepath.Join(info, "entry_points.txt"): []byte(entryPoint),
	} {
		if err = os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return "", err
		}
	}
	return dir, os.Chmod(dir, 0o755)
}
