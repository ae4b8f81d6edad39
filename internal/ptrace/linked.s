// Lets stub.go declare functions of the Go runtime that it links to.
