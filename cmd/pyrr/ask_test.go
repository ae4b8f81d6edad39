//go:build linux && amd64

package main

import (
	"strings"
	"testing"
	"time"

	"pyrr/internal/answer"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// TestAnswersSayHowFar: a command that takes more than a second says how far it has come.
func TestAnswersSayHowFar(t *testing.T) {
	rec, err := recording.Open(recordText(t, "pass"))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	sum, ok := rec.Summary()
	if !ok || sum.Instructions == 0 {
		t.Fatal("the recording has no count")
	}
	var out, errs strings.Builder
	a := answer.NewAnswers(&screen.UI{Out: &out, Err: &errs, StatusWidth: 80}, rec)
	a.Progress(1, sum.Instructions/2)
	a.Replaying(rec, "x.pyrr.zip")
	if errs.Len() > 0 {
		t.Errorf("at once: %s", errs.String())
	}
	said := func() string {
		a.Mu.Lock()
		defer a.Mu.Unlock()
		return errs.String()
	}
	for begun := time.Now(); said() == "" && time.Since(begun) < time.Minute; {
		time.Sleep(50 * time.Millisecond)
	}
	a.Stop()
	if want := "replaying x.pyrr.zip: 49 % of"; !strings.Contains(said(), want) && !strings.Contains(said(), "50 % of") {
		t.Errorf("%q does not say %q", said(), want)
	}
}
