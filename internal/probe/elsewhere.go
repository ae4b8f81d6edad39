package probe

import (
	"runtime"
	"slices"
	"strings"

	"pyrr/internal/hint"
)

// Elsewhere says whether this build of pyrr is for another system or processor than
// Linux on x86-64. There recordings are read, and nothing is recorded or replayed.
const Elsewhere = runtime.GOOS != "linux" || runtime.GOARCH != "amd64"

// Here is what a build for another place answers in place of all trials: one feature,
// which is missing, with what to do in its remedy.
func Here() Feature { return place(runtime.GOOS, runtime.GOARCH) }

// Cannot says that something takes Linux on x86-64, in a build for another place.
func Cannot(what string) error {
	f := Here()
	return hint.With(hint.Machinef("this machine can't %s: %s", what, f.Reason), f.Remedy)
}

// place is Here for a system and a processor by their names in Go.
func place(goos, goarch string) Feature {
	f := Feature{ID: Arch, Title: "Linux on x86-64", Need: NeedBoth, Answer: Unsupported, Value: systemName(goos) + " on " + processorName(goarch)}
	f.Reason = "it needs Linux on x86-64, and this is " + f.Value + ", where recordings are read only"
	switch {
	case goos == "darwin" && goarch == "arm64":
		// Rosetta and qemu-user translate a program, and have no ptrace for it.
		f.Reason += "; a container for linux/amd64 does not help here, since what translates it has no ptrace: use a full virtual machine"
		f.Remedy = "limactl start --name=x86 --vm-type=qemu --arch=x86_64 template://debian && limactl shell x86"
	case goos == "darwin":
		f.Remedy = `docker run --rm -it -v "$PWD:/here" -w /here python:3.13 sh -c 'pip install pyrr-replay && exec bash'`
	case goos == "windows" && goarch == "amd64":
		f.Remedy = "wsl --install -d Debian, and pip install pyrr-replay in it"
	default:
		f.Remedy = "ssh -t HOST uvx --from pyrr-replay pyrr …, with a HOST or a full virtual machine that is x86-64 Linux"
	}
	return f
}

func systemName(goos string) string {
	switch goos {
	case "darwin":
		return "macOS"
	case "windows":
		return "Windows"
	}
	if slices.Contains([]string{"freebsd", "openbsd", "netbsd"}, goos) {
		return strings.ToUpper(goos[:1]) + strings.Replace(goos[1:], "bsd", "BSD", 1)
	}
	return strings.ToUpper(goos[:1]) + goos[1:]
}

func processorName(goarch string) string {
	if goarch == "amd64" {
		return "x86-64"
	}
	return goarch
}
