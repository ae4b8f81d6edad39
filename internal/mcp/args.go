package mcp

// The arguments of tools; the texts are what a client reads of them.

type listArgs struct{ common }

type explainArgs struct {
	common
	Full bool `json:"full,omitempty" jsonschema:"whole stacks, with the frames of libraries"`
}

type timelineArgs struct {
	common
	From   string   `json:"from,omitempty" jsonschema:"position or event (e1204) to begin with; without from and to, the last events"`
	To     string   `json:"to,omitempty" jsonschema:"position or event to end with"`
	Thread string   `json:"thread,omitempty" jsonschema:"a thread's name or id"`
	Kinds  []string `json:"kinds,omitempty" jsonschema:"system calls, signals, kinds of events"`
	Limit  int      `json:"limit,omitempty" jsonschema:"how many events, 30 by default, 300 at most"`
}

type placeArgs struct {
	common
	At     string `json:"at,omitempty" jsonschema:"position (185730), event (e1204), start or end (default)"`
	Thread string `json:"thread,omitempty" jsonschema:"a thread's name or id, or all"`
}

type printArgs struct {
	common
	Place  string `json:"place" jsonschema:"FILE:LINE, FUNCTION, FILE::FUNCTION, c:FUNCTION, raise CLASS, or syscall NAME"`
	Exprs  string `json:"expressions,omitempty" jsonschema:"expressions with commas between, such as item, len(self.queue)"`
	If     string `json:"if,omitempty" jsonschema:"only where this expression is true"`
	Thread string `json:"thread,omitempty" jsonschema:"a thread's name or id"`
	Test   string `json:"test,omitempty" jsonschema:"only during this test"`
	First  int    `json:"first,omitempty" jsonschema:"the first so many"`
	Last   int    `json:"last,omitempty" jsonschema:"the last so many; 20 by default"`
}

type lastArgs struct {
	common
	Expr    string `json:"expression" jsonschema:"NAME, NAME.ATTR, NAME[ITEM], an expression of C such as p->count, or *ADDRESS"`
	At      string `json:"at,omitempty" jsonschema:"look backwards from this position or event; the end by default"`
	In      string `json:"in,omitempty" jsonschema:"the function whose variable it is"`
	Thread  string `json:"thread,omitempty" jsonschema:"a thread's name or id"`
	History bool   `json:"history,omitempty" jsonschema:"each change, latest first, 20 at most"`
}

type searchArgs struct {
	common
	Text  string   `json:"text" jsonschema:"a part of what was printed, logged, raised, opened, sent or queried"`
	Kinds []string `json:"kinds,omitempty" jsonschema:"print, output, written, sent, log, exception, file, query"`
	First int      `json:"first,omitempty" jsonschema:"the first so many; 20 by default"`
}

type travelArgs struct {
	common
	From      string `json:"from" jsonschema:"position or event to go from"`
	Direction string `json:"direction,omitempty" jsonschema:"next (default) or previous"`
	To        string `json:"to,omitempty" jsonschema:"line (default), call, return or exception"`
	Class     string `json:"class,omitempty" jsonschema:"of the exception"`
}

type diffArgs struct {
	common
	Other string `json:"passed" jsonschema:"the recording of a run that passed, by its name"`
}

type sourceArgs struct {
	common
	File string `json:"file" jsonschema:"the file, or the end of its path"`
	Line string `json:"line,omitempty" jsonschema:"the line in the middle"`
}

type checkArgs struct {
	common
	Sentence string `json:"sentence" jsonschema:"what must be true, such as: recv at client.py:31 blocked at end for > 1s"`
}
