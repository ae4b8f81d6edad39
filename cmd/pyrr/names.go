package main

import "pyrr/internal/printable"

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
