package hang

import (
	"path"
	"strings"

	"pyrr/internal/stack"
)

// Library tells a file that is not the user's own: the standard library, what is
// installed, pytest, pyrr's own plugin.
func Library(file string) bool {
	if stack.Plugin(path.Base(file)) || strings.HasPrefix(file, "<frozen ") {
		return true
	}
	if stack.IsLibrary(file) || generated(file) {
		return true
	}
	// The script that an installed command begins with.
	dir, name := path.Split(file)
	return strings.HasSuffix(dir, "/bin/") && !strings.Contains(name, ".")
}

// Machinery tells the frames that show how the program was run and not what it
// does: of pytest, pluggy and the plugin, of runpy.
func Machinery(file string) bool {
	short, origin := (stack.Paths{}).Short(file)
	return (origin == stack.Package || origin == stack.Stdlib || path.IsAbs(short)) && stack.Harness(short)
}

// Installed tells a file of an installed package.
func Installed(file string) bool {
	_, origin := (stack.Paths{}).Short(file)
	return origin == stack.Package
}
