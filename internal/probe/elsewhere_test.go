package probe

import (
	"strings"
	"testing"
)

// TestPlace holds that each system is called by its name and gets a way that exists there.
func TestPlace(t *testing.T) {
	tests := []struct{ goos, goarch, value, remedy string }{
		{"darwin", "arm64", "macOS on arm64", "--arch=x86_64"},
		{"darwin", "amd64", "macOS on x86-64", "docker run"},
		{"windows", "amd64", "Windows on x86-64", "wsl --install"},
		{"windows", "arm64", "Windows on arm64", "ssh -t HOST"},
		{"linux", "arm64", "Linux on arm64", "ssh -t HOST"},
		{"freebsd", "amd64", "FreeBSD on x86-64", "ssh -t HOST"},
	}
	for _, tt := range tests {
		f := place(tt.goos, tt.goarch)
		if f.Value != tt.value || !strings.Contains(f.Reason, tt.value) || !strings.Contains(f.Remedy, tt.remedy) || f.Answer != Unsupported || f.Need != NeedBoth {
			t.Errorf("%s/%s: %+v", tt.goos, tt.goarch, f)
		}
	}
	if f := place("darwin", "arm64"); !strings.Contains(f.Reason, "full virtual machine") {
		t.Errorf("on Apple silicon a container would be tried: %s", f.Reason)
	}
}
