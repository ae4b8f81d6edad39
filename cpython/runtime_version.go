package cpython

// pyVersion is a CPython version.
type pyVersion struct{ Major, Minor, Micro int }
