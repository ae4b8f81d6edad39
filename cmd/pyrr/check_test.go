//go:build linux && amd64

package main

import (
	"testing"

	"pyrr/assert"
	"pyrr/internal/checking"
	"pyrr/internal/cli"
)

func TestOutcomeStatus(t *testing.T) {
	spec := func(v assert.Verdict) *assert.SpecResult {
		return &assert.SpecResult{Spec: &assert.Spec{}, Verdict: v}
	}
	tests := []struct {
		name    string
		specs   []*assert.SpecResult
		lenient bool
		want    int
	}{
		{"all hold", []*assert.SpecResult{spec(assert.Pass)}, false, 0},
		{"one fails", []*assert.SpecResult{spec(assert.Pass), spec(assert.Fail), spec(assert.Unjudged)}, false, cli.ExitFailed},
		{"a broken golden", []*assert.SpecResult{spec(assert.Broken), spec(assert.Unjudged)}, false, cli.ExitUsage},
		{"not judged", []*assert.SpecResult{spec(assert.Pass), spec(assert.Unjudged)}, false, cli.ExitUnjudged},
		{"not judged, allowed", []*assert.SpecResult{spec(assert.Unjudged)}, true, 0},
		{"a failure is never allowed", []*assert.SpecResult{spec(assert.Fail)}, true, cli.ExitFailed},
		{"all skipped", []*assert.SpecResult{spec(assert.Skip)}, false, cli.ExitNothing},
		{"nothing", nil, false, cli.ExitNothing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := 0
			if err := checking.OutcomeStatus(&assert.Run{Specs: tt.specs}, tt.lenient); err != nil {
				got = int(err.(cli.Status))
			}
			if got != tt.want {
				t.Errorf("exit status %d, want %d", got, tt.want)
			}
		})
	}
}
