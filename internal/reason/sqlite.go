package reason

import "pyrr/internal/logview"

// Bytes of a database by which SQLite locks it (PENDING_BYTE and SHARED_FIRST of sqlite3.c).
const (
	sqlitePending = 0x40000000
	sqliteShared  = 0x40000002
)

// pendingOf is the database for which a thread has the lock of one that commits, while it
// waits for those who read; nil for none.
func pendingOf(state *logview.State, p *logview.Process, tid int32) *logview.File {
	for i := range state.Locks {
		if l := &state.Locks[i]; l.PID == p.PID && l.At.TID == tid && !l.Shared && l.Start <= sqlitePending && sqlitePending < l.End && l.End <= sqliteShared && l.File.Path != "" {
			return l.File
		}
	}
	return nil
}

// readLock is the lock by which another process reads a database.
func readLock(state *logview.State, p *logview.Process, f *logview.File) *logview.RecordLock {
	for i := range state.Locks {
		if l := &state.Locks[i]; l.PID != p.PID && l.Shared && l.File.Path == f.Path && l.Start <= sqliteShared && sqliteShared < l.End {
			return l
		}
	}
	return nil
}

// onlyRead says whether a process reads no other database than one.
func onlyRead(state *logview.State, p *logview.Process, f *logview.File) bool {
	for i := range state.Locks {
		if l := &state.Locks[i]; l.PID == p.PID && l.Start <= sqliteShared && sqliteShared < l.End && l.File.Path != f.Path {
			return false
		}
	}
	return true
}
