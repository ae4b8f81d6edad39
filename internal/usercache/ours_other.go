//go:build !unix

package usercache

import "io/fs"

// ours says yes: the user's cache is below the user's own folder.
func ours(fs.FileInfo) bool { return true }
