package compare

import "testing"

// TestRecorders leaves out what a recorder adds to one of two runs.
func TestRecorders(t *testing.T) {
	plain, added := &source{}, &source{}
	plain.call(1, "openat", "/usr/lib/python3/types.py", 9) // the recorder's code has imported it already
	plain.stacks[0].Python.Frames[0].File = "<frozen importlib._bootstrap_external>"
	plain.call(1, "openat", "/a", 3)

	added.call(1, "newfstatat", "/tmp/pyrr-pytest-12345", 9)
	added.call(1, "openat", "/tmp/pyrr-pytest-12345", 9).Ret = 7
	added.call(1, "getdents64", "", 9).FD = 7
	added.call(1, "close", "", 9).FD = 7
	added.call(1, "newfstatat", "/usr/lib/sitecustomize.py", 567)
	added.stacks[4].Python.Frames[0].Func, added.stacks[4].Python.Frames[0].File = "execsitecustomize", "<frozen site>"
	added.call(1, "read", "", 2).FD = 3
	added.stacks[5].Python.Frames[0].File = "/tmp/pyrr-pytest-12345/sitecustomize.py"
	added.call(1, "openat", "/a", 3)

	for i, th := range sides(t, plain, added).Threads {
		if i > 0 || th.Differs() || th.Equal != 1 {
			t.Errorf("thread %d: %+v", i, th)
		}
	}
	plain.call(1, "openat", "/b", 4)
	if r := sides(t, plain, added); len(r.Threads) != 1 || !r.Threads[0].Differs() {
		t.Error("what the program did otherwise is no difference")
	}
}
