package main

import (
	"pyrr/internal/facts"
	"pyrr/internal/hiding"
	"pyrr/internal/hint"
	"pyrr/internal/listing"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// Short names of what many commands use, by package.

type (
	hidden        = hiding.Hidden
	search        = hiding.Search
	survivorError = hiding.SurvivorError

	usageError = hint.Usage

	jsonArg = listing.Arg
	view    = listing.View

	ending   = reason.Ending
	reasoned = reason.Reason
	waiting  = reason.Waiting
)

const (
	packedSuffix = recording.PackedSuffix
	partSuffix   = recording.PartSuffix
)

var (
	newSource = facts.New

	findSecrets   = hiding.Find
	hideInSources = hiding.InSources
	hideSecrets   = hiding.Secrets
	isDivergence  = hiding.IsDivergence
	packIndexForm = hiding.IndexForm
	proven        = hiding.Prove
	replaced      = hiding.Replace

	hintsOf        = hint.Of
	isMachineError = hint.IsMachine
	machinef       = hint.Machinef
	usagef         = hint.Usagef
	withHint       = hint.With

	callText       = listing.Call
	describeEnd    = listing.End
	describeEvent  = listing.Event
	describeStatus = listing.Status
	newView        = listing.NewView

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

	endings          = reason.Endings
	foldStack        = reason.FoldStack
	ownFrame         = reason.OwnFrame
	reasonOf         = reason.Judge
	reasonText       = reason.Text
	reasons          = reason.Of
	sinceWhen        = reason.SinceWhen
	sourceLine       = reason.SourceLine
	threadsByVerdict = reason.ThreadsByVerdict
	waitsFor         = reason.WaitsFor

	canReplay = replay.Able
)
