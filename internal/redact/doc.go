// Package redact replaces known secrets in a recording by placeholders of the
// same length, everywhere in it, so that the recording still replays: what
// the program computes from a placeholder stands where it had computed it
// from the secret.
//
// It finds the secrets that it is told of (Finder), knows the forms in which
// a value may stand in memory, in traffic and in files (Set), and plans the
// changes of a recording (Plan). What secrets are called and what they look like
// is in two tables (names.go, rules.go).
// It never writes into the recording that it reads. Begin with Finder.
package redact
