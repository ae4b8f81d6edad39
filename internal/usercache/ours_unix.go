//go:build unix

package usercache

import (
	"io/fs"
	"os"
	"syscall"
)

// ours says whether nobody but the user and root can write into a folder.
func ours(st fs.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Geteuid()) && st.Mode()&0o022 == 0
}
