package hang

import "testing"

// TestRaisedAt checks which line is named for an exception, where some of its frames
// are of code that has no file.
func TestRaisedAt(t *testing.T) {
	frame := func(file, fn string, line int) RaisedFrame {
		return RaisedFrame{Frame: Frame{Func: fn, File: file, Line: line}}
	}
	const lib = "/usr/lib/python3.11/json/decoder.py"
	for _, c := range []struct {
		name   string
		frames []RaisedFrame
		want   int
	}{
		{"a method that dataclasses made", []RaisedFrame{frame("<string>", "__create_fn__.<locals>.__setattr__", 15), frame("/p/app.py", "bump", 7)}, 7},
		{"a program of python -c", []RaisedFrame{frame("<string>", "f", 2), frame("<string>", "<module>", 3)}, 2},
		{"a thread of python -c", []RaisedFrame{frame(lib, "decode", 1), frame("<string>", "work", 4)}, 4},
		{"what exec runs", []RaisedFrame{frame("<string>", "<module>", 1), frame("/p/app.py", "run", 9)}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inner, _ := (&judge{}).raisedAt(&Raised{Frames: c.frames})
			if inner == nil || inner.Line != c.want {
				t.Errorf("%+v, want line %d", inner, c.want)
			}
		})
	}
}
