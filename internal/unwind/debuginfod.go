package unwind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"pyrr/internal/usercache"
	"strings"
	"time"
)

// maxDebugFile bounds a debug file that is fetched.
const maxDebugFile = 4 << 30

// Debuginfod fetches the debug file of a build ID from the servers named in
// DEBUGINFOD_URLS (debuginfod(8): GET /buildid/ID/debuginfo), keeps it in the
// user's cache, and returns its path. It asks nobody unless it is called.
func Debuginfod(buildID string) (string, error) {
	dir, err := usercache.Dir("debug")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, buildID+".debug")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	err = errors.New("DEBUGINFOD_URLS names no server")
	for _, server := range strings.Fields(os.Getenv("DEBUGINFOD_URLS")) {
		if err = fetchDebug(server, buildID, file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("debug file of %s: %w", buildID, err)
}

func fetchDebug(server, buildID, file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	from, err := url.JoinPath(server, "buildid", buildID, "debuginfo")
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", from, resp.Status)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+buildID+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = io.Copy(tmp, io.LimitReader(resp.Body, maxDebugFile))
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}
