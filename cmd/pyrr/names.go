package main

import (
	"pyrr/internal/hint"
	"pyrr/internal/printable"
)

// What all commands print with, by short names.
var (
	atTime      = printable.AtTime
	byteSize    = printable.ByteSize
	clean       = printable.Clean
	cleanLine   = printable.Line
	columns     = printable.Columns
	fold        = printable.Fold
	grouped     = printable.Grouped
	indent      = printable.Indent
	pad         = printable.Pad
	plural      = printable.Plural
	seconds     = printable.Seconds
	shellJoin   = printable.ShellJoin
	shellQuote  = printable.ShellQuote
	shortMiddle = printable.ShortMiddle
	shorten     = printable.Shorten
	table       = printable.Table
	wrap        = printable.Wrap
)

// Errors that know what to do next.
type usageError = hint.Usage

var (
	hintsOf        = hint.Of
	isMachineError = hint.IsMachine
	machinef       = hint.Machinef
	usagef         = hint.Usagef
	withHint       = hint.With
)
