package stack

// IsLibrary says whether a file is the standard library's or an installed
// package's, not the program's own.
func IsLibrary(file string) bool {
	_, origin := Paths{}.Short(file)
	return origin == Package || origin == Stdlib
}
