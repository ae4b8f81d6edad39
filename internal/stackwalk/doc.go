// Package stackwalk reads the stacks of a recording's threads while a replay goes
// through it, and makes the index of them that other commands read instead of
// replaying: at each event the Python frames and a copy of the C stack, and at
// the end of a process what its threads and tasks wait for and hold.
//
// It judges nothing and prints nothing: package hang says what the facts mean.
// Begin with Walk (walk.go), which reads stacks where a replay stands, then
// Replay (index.go), which makes the index.
package stackwalk
