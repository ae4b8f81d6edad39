package pytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxItems bounds the file with the ids of a session's tests, in bytes.
const maxItems = 64 << 20

// Left returns the ids of the tests that a session in process pid has collected and
// not run. dir is the plugin's folder, ran the ids as the session's marks have them.
func Left(dir string, pid int, ran []string) ([]string, error) {
	path := filepath.Join(dir, itemsFile+strconv.Itoa(pid))
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("only those of pytest are known, and run in a fresh session")
	}
	if err != nil {
		return nil, fmt.Errorf("read which tests a session has: %w", err)
	}
	if !st.Mode().IsRegular() || st.Size() > maxItems {
		return nil, fmt.Errorf("read which tests a session has: %s is not a file of at most %d bytes", path, maxItems)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read which tests a session has: %w", err)
	}
	var all []string
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, fmt.Errorf("read which tests a session has: %s: %w", path, err)
	}
	done := make(map[string]bool, len(ran))
	for _, id := range ran {
		done[id] = true
	}
	return slices.DeleteFunc(all, func(id string) bool { return done[id] }), nil
}

// Resume makes the next session of the command run only the tests that are not in
// ran, and report all. ended is a test whose process was ended, why what the report
// says of it, and took how long it ran.
func Resume(dir string, ran []string, ended, why string, took time.Duration) error {
	b, err := json.Marshal(ran)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, resumeFile), b, 0o644)
	}
	if err != nil {
		return fmt.Errorf("resume the tests: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, reportsFile), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("resume the tests: %w", err)
	}
	defer f.Close()
	// As pytest_report_to_serializable gives it.
	type report struct {
		Type     string         `json:"$report_type"`
		ID       string         `json:"nodeid"`
		Location []any          `json:"location"`
		Keywords map[string]int `json:"keywords"`
		Outcome  string         `json:"outcome"`
		Longrepr *string        `json:"longrepr"`
		When     string         `json:"when"`
		Duration float64        `json:"duration"`
	}
	one := report{Type: "TestReport", ID: ended, Location: location(ended), Keywords: map[string]int{}, Outcome: "failed", Longrepr: &why, When: "call", Duration: took.Seconds()}
	enc := json.NewEncoder(f)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(one); err != nil {
		return fmt.Errorf("resume the tests: %w", err)
	}
	one.Outcome, one.Longrepr, one.When, one.Duration = "passed", nil, "teardown", 0
	if err := enc.Encode(one); err != nil {
		return fmt.Errorf("resume the tests: %w", err)
	}
	return f.Close()
}

// location is what pytest calls the location of a test: its file, its line, which is
// not known, and its name.
func location(id string) []any {
	file, name, _ := strings.Cut(id, "::")
	return []any{file, nil, strings.ReplaceAll(name, "::", ".")}
}
