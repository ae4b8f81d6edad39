// Package lazyregexp has regular expressions that are compiled when they are first used.
// Every command starts with all packages of pyrr in it and uses few of their expressions;
// compiled at the start they cost more than a short recording.
//
// It never compiles one twice. Begin with New.
package lazyregexp

import (
	"regexp"
	"sync"
)

// New returns what gives the compiled expression. An expression that is none panics at its
// first use, as regexp.MustCompile does.
func New(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
