package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"pyrr/internal/lazyregexp"
	"pyrr/internal/served"
)

// Call is a tool call that suggests itself.
type Call struct {
	Tool      string         `json:"tool"`
	Arguments map[string]any `json:"arguments"`
}

// reply is the structured part of an answer.
type reply struct {
	Next    []Call `json:"next,omitempty"`
	LeftOut string `json:"leftOut,omitempty"`
	Failed  string `json:"failed,omitempty"`
}

// answer is what a tool found: a text of the recording's, and what to ask next.
type answer struct {
	text string
	more bool
	none bool // there is nothing of the kind, and nothing to go on from
	err  string
	next []Call
}

// common are arguments that all tools have.
type common struct {
	Recording string `json:"recording,omitempty" jsonschema:"the recording, by its name from list; not needed where one alone is served"`
	MaxBytes  int    `json:"max_bytes,omitempty" jsonschema:"how long the answer may be, 4000 bytes by default, 65536 at most"`
}

// tool is a tool with arguments of one type.
type tool[In any] struct {
	name, about string
	common      func(*In) *common
	do          func(ctx context.Context, s *server, path string, in *In) answer
}

// add makes a tool the server's. A tool never fails but by what it says.
func add[In any](out *mcp.Server, s *server, t tool[In]) {
	closed := false
	s.shapes[t.name] = shapeOf[In]()
	mcp.AddTool(out, &mcp.Tool{Name: t.name, Description: t.about, Annotations: &mcp.ToolAnnotations{ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &closed}},
		func(ctx context.Context, _ *mcp.CallToolRequest, in In) (res *mcp.CallToolResult, _ any, _ error) {
			defer func() {
				if p := recover(); p != nil {
					res = failed(fmt.Sprintf("the tool broke on this: %v", p))
				}
			}()
			c := t.common(&in)
			path := s.root.Path
			if t.name != "list" {
				var err error
				if path, err = s.root.Recording(c.Recording); err != nil {
					return failed(err.Error()), nil, nil
				}
			}
			return s.result(c, t.do(ctx, s, path, &in)), nil, nil
		})
}

func failed(why string) *mcp.CallToolResult {
	why, _ = bounded(why, defaultBytes)
	return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: marked(why)}}, StructuredContent: reply{Failed: strings.TrimSpace(why)}}
}

// result makes an answer short enough, with its marks, what was left out and the next
// calls.
func (s *server) result(c *common, a answer) *mcp.CallToolResult {
	if a.err != "" {
		return failed(a.err)
	}
	if a.none {
		a.next = nil
	}
	most := defaultBytes
	if c.MaxBytes > 0 {
		most = min(max(c.MaxBytes, 200), maxBytes)
	}
	for i := range a.next {
		if !s.root.One && c.Recording != "" && a.next[i].Arguments["recording"] == nil {
			a.next[i].Arguments["recording"] = c.Recording
		}
	}
	tail := ""
	var next []Call
	for _, n := range a.next {
		args, err := json.Marshal(n.Arguments)
		if err != nil || len(args) > maxCall || len(tail)+len(args) > most/2 {
			continue // names as long as that are nobody's
		}
		next = append(next, n)
		tail += fmt.Sprintf("next: %s %s\n", n.Tool, args)
	}
	a.next = next
	const marks = 120 // bytes of the marks and of what says what is left out
	text, left := bounded(a.text, max(most-len(tail)-marks, 100))
	if a.more && left == "" {
		left = "more follows"
	}
	out := marked(text) + "\n"
	if left != "" {
		out += left + "; max_bytes, a window or a filter shows them\n"
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: out + tail}}, StructuredContent: reply{Next: a.next, LeftOut: left}}
}

func call(tool string, pairs ...any) Call {
	c := Call{tool, map[string]any{}}
	for i := 0; i+1 < len(pairs); i += 2 {
		c.Arguments[pairs[i].(string)] = pairs[i+1]
	}
	return c
}

// command runs a command of pyrr for an answer.
func (s *server) command(ctx context.Context, args ...string) answer {
	r := s.Run(ctx, maxRead, args...)
	return answer{text: s.tidy(r.Out), more: r.More, err: s.tidy(r.Err), none: r.RC == served.ExitNothing}
}

// tidy leaves out of what a command says how far it had come, and where on this machine
// the recordings are: tools have their names.
func (s *server) tidy(text string) string {
	if s.root.One {
		text = strings.ReplaceAll(text, s.root.Path, filepath.Base(s.root.Path))
	}
	text = strings.ReplaceAll(text, s.root.Path+"/", "")
	return underway().ReplaceAllString(text, "")
}

// underway is what commands say while they replay.
var underway = lazyregexp.New(`(?m)^pyrr: … .*\n?`)

var (
	place    = lazyregexp.New(`^(end|start|e?[0-9][0-9,]*|[0-9.]+%)$`)
	eventAt  = lazyregexp.New(`\be([0-9][0-9,]*)\b`)
	position = lazyregexp.New(`(?m)^ +(?:p[0-9]+ )?([0-9][0-9,]*) +[0-9]+\.[0-9]{6} `)
	fileLine = lazyregexp.New(`([^\s:"'()]+\.py):([0-9]+)`)
)

// at reads a place, "end" by default.
func at(text string) (string, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return "end", nil
	}
	if !place().MatchString(text) {
		return "", fmt.Errorf("at: a position such as 185,730, an event such as e1204, start or end, not %q", text)
	}
	return text, nil
}

// sourceCall suggests the first line of the program's that a text names.
func sourceCall(text string) []Call {
	for _, m := range fileLine().FindAllStringSubmatch(text, 20) {
		if !strings.Contains(m[1], "/") || !strings.Contains(m[1], "lib/python") {
			return []Call{call("source", "file", m[1], "line", m[2])}
		}
	}
	return nil
}

// plain is a number without commas.
func plain(n string) string { return strings.ReplaceAll(n, ",", "") }
