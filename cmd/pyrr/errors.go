package main

import (
	"fmt"
)

// exitStatusError ends pyrr with a status and prints nothing: what there was
// to say has been said.
type exitStatusError int

func (e exitStatusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
