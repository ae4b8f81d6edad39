// Package pytest holds the plugin by which pytest tells the recorder where
// its tests begin and end. It is put into a folder that the recorder adds to
// the PYTHONPATH of the programs that it records; pytest finds it there by
// its entry point, and unittest by a sitecustomize that makes way for any other.
// It decides nothing: what is kept is the recorder's to say. Begin with Install
// (pytest.go), then pyrr_pytest.py.
package pytest

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// scripts are the plugin's files, by name.
//
//go:embed *.py
var scripts embed.FS

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
// that is recorded must be a child of this process. Where the folder for such files is
// missing, full or read-only, it is one of those that systems have, or one in near.
func Install(near string) (dir string, err error) {
	first := os.TempDir()
	for _, in := range []string{first, "/tmp", "/var/tmp", "/dev/shm", near} {
		if in == first && err != nil {
			continue
		}
		made, failed := install(in)
		if failed == nil {
			return made, nil
		}
		err = cmp.Or(err, failed)
	}
	return "", err
}

// install is Install in one folder.
func install(in string) (dir string, err error) {
	if in, err = filepath.Abs(in); err == nil { // the program may change its folder
		dir, err = os.MkdirTemp(in, "pyrr-pytest-")
	}
	if err != nil {
		return "", fmt.Errorf("make a folder for the pytest plugin: %w", err)
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
			err = fmt.Errorf("write the pytest plugin: %w", err)
		}
	}()
	// Whatever the umask says.
	if err = errors.Join(os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, info), 0o755), os.Chmod(filepath.Join(dir, info), 0o755)); err != nil {
		return "", err
	}
	files := map[string][]byte{
		recorderFile:                            []byte(strconv.Itoa(os.Getpid())),
		filepath.Join(info, "METADATA"):         []byte(metadata),
		filepath.Join(info, "entry_points.txt"): []byte(entryPoint),
	}
	all, _ := scripts.ReadDir(".")
	for _, f := range all {
		files[f.Name()], _ = scripts.ReadFile(f.Name())
	}
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err = errors.Join(os.WriteFile(name, content, 0o644), os.Chmod(name, 0o644)); err != nil {
			return "", err
		}
	}
	return dir, nil
}
