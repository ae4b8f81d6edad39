package main

import (
	"pyrr/internal/contents"
	"pyrr/internal/digest"
	"pyrr/internal/doctor"
	"pyrr/internal/facts"
	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hiding"
	"pyrr/internal/hint"
	"pyrr/internal/listing"
	"pyrr/internal/naming"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/internal/traces"
	"pyrr/replay"
)

// Short names of what many commands use, by package.

type (
	listed        = contents.Line
	recordingInfo = contents.Info

	summaryFlags = digest.Flags
	told         = digest.Told

	interpreter = doctor.Interpreter

	size = flagvalue.Size

	hidden        = hiding.Hidden
	search        = hiding.Search
	survivorError = hiding.SurvivorError

	usageError = hint.Usage

	jsonArg = listing.Arg
	view    = listing.View

	target = naming.Target

	ending   = reason.Ending
	reasoned = reason.Reason
	waiting  = reason.Waiting

	commandGuard = screen.CommandGuard
	frameRow     = screen.FrameRow
	ui           = screen.UI

	eventFilter = show.Filter
	eventList   = show.List
	jsonEvent   = show.JsonEvent
	jsonFrame   = show.Frame
	rawList     = show.Raw
	textList    = show.Text

	btFlags   = traces.Flags
	btFrame   = traces.Frame
	jsonNamed = traces.JsonNamed
)

const (
	defaultDir      = find.DefaultDir
	registryTimeout = find.RegistryTimeout

	chaosRandom = flagvalue.ChaosRandom
	choicesKey  = flagvalue.ChoicesKey

	packedSuffix = recording.PackedSuffix
	partSuffix   = recording.PartSuffix

	bold   = screen.Bold
	dim    = screen.Dim
	green  = screen.Green
	red    = screen.Red
	yellow = screen.Yellow
)

var (
	divergedNote = contents.DivergedNote
	listOne      = contents.LineOf
	sizesOf      = contents.Sizes
	summarize    = contents.Of

	annotateAll     = digest.AnnotateAll
	byFault         = digest.ByFault
	specFor         = digest.SpecFor
	summaryMarkdown = digest.SummaryMarkdown
	tellOne         = digest.TellOne
	writeSummary    = digest.Write
	writeWhole      = digest.WriteWhole

	askPython      = doctor.AskPython
	inspectPythons = doctor.Inspect
	mark           = doctor.Mark
	notCPython     = doctor.NotCPython

	newSource = facts.New

	beside        = find.Beside
	fetchNamed    = find.FetchNamed
	fetchOwn      = find.FetchOwn
	listRegistry  = find.ListRegistry
	notRecording  = find.NotRecording
	oneRecording  = find.One
	openRecording = find.Open
	registryName  = find.RegistryName

	choiceVar     = flagvalue.ChoiceVar
	newChaos      = flagvalue.NewChaos
	newDuration   = flagvalue.NewDuration
	parseDuration = flagvalue.ParseDuration
	randomSeed    = flagvalue.RandomSeed

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

	planTarget    = naming.Plan
	recordingName = naming.RecordingName
	safeName      = naming.SafeName
	shortID       = naming.ShortID

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

	finishCleaning = screen.FinishCleaning
	forTerminal    = screen.ForTerminal
	newJSONWriter  = screen.NewJSONWriter
	newUI          = screen.New
	onInterrupt    = screen.OnInterrupt
	paint          = screen.Paint

	annotate       = show.Annotate
	cannot         = show.Cannot
	code           = show.Code
	divergenceText = show.DivergenceText
	explainFitted  = show.Explain
	explanationOf  = show.NewExplanation
	fenced         = show.Fenced
	kindNames      = show.KindNames
	lasting        = show.Lasting
	listProcess    = show.Process
	newDiffJSON    = show.NewDiff
	newEventFilter = show.NewFilter
	newJSONFrame   = show.NewFrame
	newJSONList    = show.NewJSONList
	printDiff      = show.PrintDiff
	printMarkdown  = show.Markdown
	printReasons   = show.PrintReasons
	replayFailed   = show.ReplayFailed
	stackLines     = show.StackLines
	truncations    = show.Truncations
	workflowEscape = show.WorkflowEscape

	newBtWalk     = traces.NewBtWalk
	parsePlace    = traces.ParsePlace
	readStacks    = traces.Read
	recordedLines = traces.RecordedLines
	showStacks    = traces.Show
	threadHint    = traces.ThreadHint
	threadsNamed  = traces.ThreadsNamed
	threadsThere  = traces.ThreadsThere
)
