// Package release holds the tests of the packages: they are built, installed
// where nothing of pyrr is, used, and removed.
package release
