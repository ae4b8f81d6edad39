package hang

import (
	"path"
	"strings"
)

// importing says which module's import a thread is still in the midst of, and which
// line of the program began it; "" for none.
func (j *judge) importing(n node) string {
	var frames []Frame
	if u := j.unit(n); u != nil {
		frames = u.Frames
	} else if c := j.call(n); c != nil {
		frames = c.Frames
	}
	for k := len(frames) - 1; k > 0; k-- {
		if !strings.HasPrefix(frames[k].File, "<frozen importlib") {
			continue
		}
		// The body of the module is the next frame that is not the import system's.
		in := k
		for in >= 0 && strings.HasPrefix(frames[in].File, "<frozen importlib") {
			in--
		}
		if in < 0 || frames[in].Func != "<module>" || Machinery(frames[in].File) {
			k = max(in, 0) + 1
			if in < 0 {
				return ""
			}
			continue
		}
		name := strings.TrimSuffix(path.Base(frames[in].File), ".py")
		if name == "__init__" {
			name = path.Base(path.Dir(frames[in].File))
		}
		text := "; module " + name + " is still being imported"
		if k+1 < len(frames) && frames[k+1].own() {
			text += ", which began at " + j.at(frames[k+1])
		}
		return text
	}
	return ""
}
