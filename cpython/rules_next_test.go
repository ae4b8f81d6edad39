package cpython

import (
	"slices"
	"strings"
	"testing"
)

// TestNextVersion holds that a version needs no more than its rules, which one file
// enters: with them it is known, by its name and with the offsets of the one that it is
// like; without them it is too new.
func TestNextVersion(t *testing.T) {
	before := slices.Clone(rules)
	defer func() { rules = before }()
	newest := *rules[maxMinor()]
	next := newest.Minor + 1
	if rulesOf(next) != nil {
		t.Fatalf("3.%d is known", next)
	}
	if _, err := tableLayout(next, false); err == nil {
		t.Errorf("3.%d is not known, and has offsets", next)
	}
	cache := DefaultCache()
	newest.Minor, newest.like, newest.layout = next, next-1, nil
	known(newest)
	if !strings.HasSuffix(Supported(), (Version{3, next, -1}).String()) || (Version{3, next, -1}).Rules().Minor != next {
		t.Errorf("with its rules it is not supported: %s", Supported())
	}
	if cache.Dir != "" && DefaultCache() == cache {
		t.Error("what was too new before stays so, by the cache")
	}
	for _, freeThreaded := range []bool{false, true} {
		was, err := tableLayout(next-1, freeThreaded)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tableLayout(next, freeThreaded)
		if err != nil || got.rules.Minor != next || got.thread != was.thread || got.interp != was.interp {
			t.Errorf("its offsets are not those of the version before: %v", err)
		}
	}
}
