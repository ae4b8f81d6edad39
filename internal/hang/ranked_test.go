package hang

import (
	"strings"
	"testing"
)

// TestAtHandOnly: who has an event at hand, and is in a function that would never set it, is
// not said to owe that; who would, or may call what does, is.
func TestAtHandOnly(t *testing.T) {
	for body, circle := range map[string]bool{
		"    with self.lock:\n        return self.value\n":                                   false,
		"    with self.lock:\n        value = self.value\n    self.ready.set()\n":            true,
		"    with self.lock:\n        value = self.value\n    self.changed(value)\n":         true,
		"    with self.lock: self.ready.set()\n":                                             true,
		"    with self.lock: return self.value\n":                                            false,
		"    for part in self.parts:\n        with self.lock:\n            part.set()\n":     true,
		"    with self.lock:\n        value = self.value\n    with self.other:\n        0\n": true,
	} {
		source := strings.Split("def get(self):\n"+body+"\ndef slow(self):\n    with self.lock:\n        self.ready.wait()\n", "\n")
		at := func(code string) int {
			for k, line := range source {
				if strings.Contains(line, code) {
					return k + 1
				}
			}
			t.Fatal(code)
			return 0
		}
		get := Unit{Kind: Thread, TID: 2, Name: "asker", Frames: []Frame{{Func: "get", File: "app.py", Line: at("with self.lock")}}, Wait: on("acquire", 0)}
		slow := Unit{Kind: Thread, TID: 3, Name: "other", Frames: []Frame{{Func: "slow", File: "app.py", Line: at("ready.wait")}}, Wait: on("wait", 1)}
		v := Judge(&Input{
			Text: func(_ string, line int) string {
				if line < 1 || line > len(source) {
					return ""
				}
				return source[line-1]
			},
			Procs: []*Process{{ID: 1, PID: 10, Hangs: true, Threads: futex(1, 2, 3), Facts: &Facts{
				Units: []Unit{thread(1, "MainThread", 9, units("join", 1)), get, slow},
				Things: []Thing{{Kind: Lock, Name: "self.lock", Hands: Hands{Locked: true, Holders: holds(2, at("def slow")+1)}},
					{Kind: Event, Name: "self.ready", Hands: Hands{Known: []int{1}}}}}}},
		})
		if got := strings.Contains(v.Sentence, "asker has at hand") || v.Kind == "circle"; got != circle {
			t.Errorf("with\n%spyrr says: %s (%s)", body, v.Sentence, v.Kind)
		}
	}
}
