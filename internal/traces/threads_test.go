package traces

import (
	"fmt"
	"testing"

	"pyrr/internal/hint"
)

func TestThreadHint(t *testing.T) {
	all := []threadThere{{1, 100, "MainThread"}, {1, 101, "reader"}, {1, 102, ""}}
	if got, err := ThreadsNamed("reader", "x", all); err != nil || !got[101] || len(got) != 1 {
		t.Errorf("by name: %v, %v", got, err)
	}
	if got, err := ThreadsNamed("102", "x", all); err != nil || !got[102] || len(got) != 1 {
		t.Errorf("by id: %v, %v", got, err)
	}
	_, err := ThreadsNamed("raeder", "x.pyrr.zip", all)
	if err == nil || fmt.Sprint(hint.Of(err)) != "[did you mean --thread reader? it has 100 MainThread, 101 reader, 102]" {
		t.Errorf("%v, hints %q", err, hint.Of(err))
	}
}
