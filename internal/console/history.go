package console

import (
	"os"
	"path/filepath"
	"strings"

	"pyrr/internal/usercache"
)

// maxHistory is how many lines are remembered.
const maxHistory = 1000

// history are the lines that were typed, over sessions: a file of the user's cache has
// them, oldest first. PYRR_HISTORY names another file, or is empty for none.
type history struct {
	file  string // "" for none
	lines []string
}

func openHistory() *history {
	h := &history{}
	if name, set := os.LookupEnv("PYRR_HISTORY"); set {
		h.file = name
	} else if dir, err := usercache.Dir(); err == nil {
		h.file = filepath.Join(dir, "history")
	}
	if h.file == "" {
		return h
	}
	const most = 1 << 20
	if st, err := os.Stat(h.file); err != nil || !st.Mode().IsRegular() || st.Size() > most {
		return h
	}
	if text, err := os.ReadFile(h.file); err == nil && len(text) > 0 {
		h.lines = strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
	}
	return h
}

// Add implements term.History: a line that is not the last one again is remembered.
func (h *history) Add(line string) {
	if line = strings.TrimSpace(line); line == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
	if h.file == "" {
		return
	}
	// That it can't be kept is not worth a word in the midst of a session.
	if st, err := os.Stat(h.file); err == nil && !st.Mode().IsRegular() {
		return
	}
	_ = usercache.WriteFile(h.file, []byte(strings.Join(h.lines, "\n")+"\n"))
}

// Len implements term.History.
func (h *history) Len() int { return len(h.lines) }

// At implements term.History: 0 is the newest.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }
