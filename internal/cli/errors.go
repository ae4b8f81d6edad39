package cli

import (
	"fmt"
)

// Status ends pyrr with a status and prints nothing: what there was
// to say has been said.
type Status int

func (e Status) Error() string { return fmt.Sprintf("exit status %d", int(e)) }
