package recording

// ReadByPython is for the test of a recording that capture makes.
var ReadByPython = readByPython
