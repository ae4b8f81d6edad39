// Package setup knows where scripts/setup.sh and scripts/interpreters.sh leave what the
// tests need: interpreters and virtual environments. It is for tests and measurements
// alone, and makes nothing. Begin with Path.
package setup

import (
	"os"
	"path/filepath"
)

// shared is the folder that the scripts use where PYRR_CACHE names no other.
const shared = "/var/cache/pyrr"

// Path returns where something lies that set-up made, such as
// "venv-311/bin/python": in the cache, or if it is not there in the second one,
// which is only read (pyrr_cache and second_cache of scripts/lib.sh). Where
// nobody has it, it is the path where it would be made.
func Path(elem string) string {
	all := folders()
	for _, dir := range all {
		path := filepath.Join(dir, elem)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return filepath.Join(all[0], elem)
}

// Root is the folder of the root file system of a suite of Debian's, as the kernel shows
// paths below it: without symbolic links.
func Root(suite string) string {
	path := Path("roots/" + suite)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// folders are the caches that there may be, the first one first.
func folders() []string {
	var all []string
	if dir := os.Getenv("PYRR_CACHE"); dir != "" {
		all = append(all, dir)
	} else {
		all = append(all, shared)
		if dir, err := os.UserCacheDir(); err == nil {
			all = append(all, filepath.Join(dir, "pyrr"))
		}
	}
	if dir, set := os.LookupEnv("PYRR_INTERPRETERS"); !set {
		all = append(all, shared)
	} else if dir != "" {
		all = append(all, dir)
	}
	return all
}
