package linux

import (
	"strconv"
	"strings"
)

// signals holds the names of the standard signals (asm/signal.h).
var signals = [...]string{
	1:  "SIGHUP",
	2:  "SIGINT",
	3:  "SIGQUIT",
	4:  "SIGILL",
	5:  "SIGTRAP",
	6:  "SIGABRT",
	7:  "SIGBUS",
	8:  "SIGFPE",
	9:  "SIGKILL",
	10: "SIGUSR1",
	11: "SIGSEGV",
	12: "SIGUSR2",
	13: "SIGPIPE",
	14: "SIGALRM",
	15: "SIGTERM",
	16: "SIGSTKFLT",
	17: "SIGCHLD",
	18: "SIGCONT",
	19: "SIGSTOP",
	20: "SIGTSTP",
	21: "SIGTTIN",
	22: "SIGTTOU",
	23: "SIGURG",
	24: "SIGXCPU",
	25: "SIGXFSZ",
	26: "SIGVTALRM",
	27: "SIGPROF",
	28: "SIGWINCH",
	29: "SIGIO",
	30: "SIGPWR",
	31: "SIGSYS",
}

// MaxSignal is the highest signal number.
const MaxSignal = 64

// sigRTMin is the kernel's first real-time signal. glibc keeps 32 and 33 for
// itself and begins SIGRTMIN at 34 (signal(7)).
const sigRTMin = 34

// Signal returns the name of signal n: SIGINT, SIGRTMIN+2, or its digits.
func Signal(n int) string {
	switch {
	case n > 0 && n < len(signals):
		return signals[n]
	case n == sigRTMin:
		return "SIGRTMIN"
	case n > sigRTMin && n <= MaxSignal:
		return "SIGRTMIN+" + strconv.Itoa(n-sigRTMin)
	}
	return strconv.Itoa(n)
}

// SignalNumber returns the number of a signal name, with or without SIG.
func SignalNumber(name string) (int, bool) {
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	switch name {
	case "SIGPOLL":
		name = "SIGIO"
	case "SIGIOT":
		name = "SIGABRT"
	case "SIGCLD":
		name = "SIGCHLD"
	case "SIGRTMAX":
		return MaxSignal, true
	}
	for n, s := range signals {
		if s == name {
			return n, true
		}
	}
	if rest, ok := strings.CutPrefix(name, "SIGRTMIN"); ok {
		if rest == "" {
			return sigRTMin, true
		}
		if n, err := strconv.Atoi(strings.TrimPrefix(rest, "+")); err == nil && n >= 0 && sigRTMin+n <= MaxSignal && rest[0] == '+' {
			return sigRTMin + n, true
		}
	}
	if rest, ok := strings.CutPrefix(name, "SIGRTMAX-"); ok {
		if n, err := strconv.Atoi(rest); err == nil && n >= 0 && n <= MaxSignal-sigRTMin {
			return MaxSignal - n, true
		}
	}
	return 0, false
}
