package sys

import "errors"

// ErrElsewhere is the error of every call, where this is not Linux on x86-64.
var ErrElsewhere = errors.New("it needs Linux on x86-64")
