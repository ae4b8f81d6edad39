package main

import "pyrr/internal/ptrace"

// notOpen has a bit for each standard file that was closed when pyrr began. pyrr_entry
// writes it; linked without that, pyrr takes all for open.
var notOpen uint32

func init() { ptrace.NotOpen = notOpen }
