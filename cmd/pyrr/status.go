package main

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
)

// shellStatus turns a wait status into what a shell shows: the exit status,
// or 128+n for signal n.
func shellStatus(wait int) int {
	ws := unix.WaitStatus(uint32(wait))
	switch {
	case ws.Exited():
		return ws.ExitStatus()
	case ws.Signaled():
		return 128 + int(ws.Signal())
	}
	return wait & 0xff
}

// describeStatus says a shell's status in words.
func describeStatus(status int) string {
	if status > 128 && status < 128+65 {
		if name := unix.SignalName(unix.Signal(status - 128)); name != "" {
			return fmt.Sprintf("exit status %d, killed by %s", status, name)
		}
	}
	return fmt.Sprintf("exit status %d", status)
}

// describeEnd says how a process's stream ends.
func describeEnd(ev *recording.Event) string {
	var s string
	switch ev.Why {
	case recording.EndExited:
		s = describeStatus(shellStatus(int(ev.Ret)))
	case recording.EndExec:
		s = "became another program"
	case recording.EndDetached:
		s = "recording stopped, the program went on"
	case recording.EndTimeout:
		s = "stopped by the time-out"
	case recording.EndTruncated:
		s = fmt.Sprintf("truncated at instruction %s", grouped(ev.Instr))
	default:
		s = ev.Why
	}
	if ev.Text != "" {
		s += ": " + ev.Text
	}
	return strings.TrimSpace(s)
}
