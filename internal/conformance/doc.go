// Package conformance holds pyrr against programs that it was not written for:
// CPython's own regression tests, file by file, and the fixtures. Each program
// runs three times: without pyrr, recorded, and replayed from the recording
// alone, with its files removed and, where this is root, without a network. The
// recorded outcome has to be the native one, and the replay exact.
//
// The command in run writes docs/conformance.md from what it measured. Its
// results are kept in data, beside the causes of what fails, so that the
// document can be made again and a test holds it to them.
package conformance
