package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// addTools adds all tools.
func (s *server) addTools(out *mcp.Server) {
	add(out, s, tool[listArgs]{"list", "Lists the recordings: when, how each ended, of which test or command.", func(a *listArgs) *common { return &a.common }, list})
	add(out, s, tool[explainArgs]{"explain", "Says why it hung or failed, in a sentence, with the evidence, and how sure that is. Ask this first.", func(a *explainArgs) *common { return &a.common }, explain})
	add(out, s, tool[timelineArgs]{"timeline", "Lists events (system calls, signals, switches) in a window, with times and threads.", func(a *timelineArgs) *common { return &a.common }, timeline})
	add(out, s, tool[placeArgs]{"stacks", "The Python stacks of threads at a place.", func(a *placeArgs) *common { return &a.common }, stacks})
	add(out, s, tool[placeArgs]{"values", "The Python stacks of threads at a place with the variables of each frame.", func(a *placeArgs) *common { return &a.common }, values})
	add(out, s, tool[printArgs]{"print", "What expressions were worth each time a line, function, exception or system call was passed.", func(a *printArgs) *common { return &a.common }, print})
	add(out, s, tool[lastArgs]{"last", "Who set a variable, attribute or item: where, with which stack, and what it was before.", func(a *lastArgs) *common { return &a.common }, last})
	add(out, s, tool[searchArgs]{"search", "The moments when a text was printed, logged, raised, opened, sent or queried.", func(a *searchArgs) *common { return &a.common }, search})
	add(out, s, tool[travelArgs]{"travel", "Goes from a place to the next or previous line, call, return or exception, and says what is there.", func(a *travelArgs) *common { return &a.common }, travel})
	add(out, s, tool[diffArgs]{"diff", "What this run got that one which passed did not, and where they parted.", func(a *diffArgs) *common { return &a.common }, diff})
	add(out, s, tool[sourceArgs]{"source", "Lines of a source file as it was when it ran.", func(a *sourceArgs) *common { return &a.common }, source})
	add(out, s, tool[checkArgs]{"check", "Holds a sentence of the spec language against the recording.", func(a *checkArgs) *common { return &a.common }, check})
	add(out, s, tool[listArgs]{"draft", "Drafts a spec that says what happened, for a regression test.", func(a *listArgs) *common { return &a.common }, draft})
}

func list(ctx context.Context, s *server, path string, _ *listArgs) answer {
	// One that can't be read makes the command fail, and the others are listed all the same.
	r := s.Run(ctx, maxRead, "ls", "--json", "--", path)
	var all []struct {
		Path    string   `json:"path"`
		Outcome string   `json:"outcome"`
		Test    string   `json:"test"`
		Command []string `json:"command"`
		Error   string   `json:"error"`
	}
	if err := json.Unmarshal([]byte(r.Out), &all); err != nil {
		return s.command(ctx, "ls", "--", path)
	}
	a := answer{}
	var b strings.Builder
	for i := len(all) - 1; i >= 0; i-- {
		r := &all[i]
		name := r.Path
		if !s.root.One {
			name = s.root.Name(r.Path)
		}
		if _, err := s.root.Recording(name); err != nil {
			continue // a link leads out of the folder
		}
		of := r.Test
		if of == "" {
			of = strings.Join(r.Command, " ")
		}
		if r.Error != "" {
			fmt.Fprintf(&b, "%s  can't be read\n", name)
			continue
		}
		fmt.Fprintf(&b, "%s  %s  %s\n", name, r.Outcome, of)
		if len(a.next) < 3 {
			a.next = append(a.next, call("explain", "recording", name))
		}
	}
	if a.text = b.String(); a.text == "" {
		a.text = "no recordings"
	}
	return a
}

func explain(ctx context.Context, s *server, path string, in *explainArgs) answer {
	args := []string{"explain", "--all"}
	if in.Full {
		args = append(args, "--full")
	}
	a := s.command(ctx, append(args, "--", path)...)
	if m := eventAt().FindStringSubmatch(a.text); m != nil {
		at := "e" + plain(m[1])
		a.next = append(a.next, call("values", "at", at), call("timeline", "to", at))
	} else {
		a.next = append(a.next, call("stacks", "at", "end", "thread", "all"))
	}
	a.next = append(a.next, sourceCall(a.text)...)
	return a
}

func stacks(ctx context.Context, s *server, path string, in *placeArgs) answer {
	return bt(ctx, s, path, in, false)
}
func values(ctx context.Context, s *server, path string, in *placeArgs) answer {
	return bt(ctx, s, path, in, true)
}

func bt(ctx context.Context, s *server, path string, in *placeArgs, locals bool) answer {
	where, err := at(in.At)
	if err != nil {
		return answer{err: err.Error()}
	}
	args := []string{"bt", "--python", "--at=" + where}
	if in.Thread != "" {
		args = append(args, "--thread="+in.Thread)
	}
	if locals {
		args = append(args, "--locals")
	}
	a := s.command(ctx, append(args, "--", path)...)
	if !locals {
		a.next = append(a.next, call("values", "at", where))
	} else if where != "end" && where != "start" {
		a.next = append(a.next, call("travel", "from", where, "direction", "previous", "to", "line"))
	}
	a.next = append(a.next, sourceCall(a.text)...)
	return a
}

func print(ctx context.Context, s *server, path string, in *printArgs) answer {
	args := []string{"print"}
	flag := func(name, value string) {
		if value != "" {
			args = append(args, "--"+name+"="+value)
		}
	}
	flag("if", in.If)
	flag("thread", in.Thread)
	flag("test", in.Test)
	switch {
	case in.First > 0:
		flag("first", strconv.Itoa(in.First))
	case in.Last > 0:
		flag("last", strconv.Itoa(in.Last))
	default:
		flag("last", "20")
	}
	args = append(args, "--", path, in.Place)
	if in.Exprs != "" {
		args = append(args, in.Exprs)
	}
	a := s.command(ctx, args...)
	if m := position().FindAllStringSubmatch(a.text, -1); len(m) > 0 {
		pos := plain(m[len(m)-1][1])
		a.next = append(a.next, call("values", "at", pos))
		if e, _, _ := strings.Cut(in.Exprs, ","); e != "" {
			a.next = append(a.next, call("last", "expression", strings.TrimSpace(e), "at", pos))
		}
	}
	return a
}

func last(ctx context.Context, s *server, path string, in *lastArgs) answer {
	where, err := at(in.At)
	if err != nil {
		return answer{err: err.Error()}
	}
	args := []string{"last", "--at=" + where}
	if in.In != "" {
		args = append(args, "--in="+in.In)
	}
	if in.Thread != "" {
		args = append(args, "--thread="+in.Thread)
	}
	if in.History {
		args = append(args, "--history", "--most=20")
	}
	a := s.command(ctx, append(args, "--", path, in.Expr)...)
	if m := position().FindStringSubmatch(a.text); m != nil {
		pos := plain(m[1])
		a.next = append(a.next, call("values", "at", pos), call("last", "expression", in.Expr, "at", pos))
	}
	a.next = append(a.next, sourceCall(a.text)...)
	return a
}

func search(ctx context.Context, s *server, path string, in *searchArgs) answer {
	n := 20
	if in.First > 0 {
		n = in.First
	}
	args := []string{"where", "--first=" + strconv.Itoa(n)}
	if len(in.Kinds) > 0 {
		args = append(args, "--kind="+strings.Join(in.Kinds, ","))
	}
	a := s.command(ctx, append(args, "--", path, in.Text)...)
	if m := position().FindStringSubmatch(a.text); m != nil {
		a.next = append(a.next, call("values", "at", plain(m[1])), call("timeline", "to", plain(m[1])))
	}
	return a
}

// moves are the console's commands for a move of travel.
var moves = map[string][2]string{"line": {"next", "reverse-next"}, "call": {"step", "reverse-step"}, "return": {"finish", "reverse-finish"}, "exception": {"continue", "reverse-continue"}}

func travel(ctx context.Context, s *server, path string, in *travelArgs) answer {
	where, err := at(in.From)
	if err != nil {
		return answer{err: err.Error()}
	}
	to := in.To
	if to == "" {
		to = "line"
	}
	m, ok := moves[to]
	if !ok || in.Direction != "" && in.Direction != "next" && in.Direction != "previous" {
		return answer{err: "to is line, call, return or exception, and direction next or previous"}
	}
	if strings.IndexFunc(in.Class, func(r rune) bool {
		return r != '_' && r != '.' && (r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z')
	}) >= 0 {
		return answer{err: "class is the name of an exception's class"}
	}
	move := m[0]
	if in.Direction == "previous" {
		move = m[1]
	}
	args := []string{"replay", "--at=" + where}
	if to == "exception" {
		args = append(args, "--ex=catch raise "+in.Class)
	}
	const mark = "pyrr travelled"
	a := s.command(ctx, append(args, "--ex="+move, "--ex=echo "+mark, "--ex=when", "--ex=python_bt", "--ex=info locals", "--ex=quit", "--", path)...)
	if a.err != "" {
		return a
	}
	// Prompts and the way there are not wanted.
	var b strings.Builder
	pos := ""
	for line := range strings.Lines(a.text) {
		if i := strings.Index(line, "> "); i >= 0 && i < 40 {
			continue
		}
		if strings.HasPrefix(line, mark) {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "instruction "); ok {
			pos, _, _ = strings.Cut(rest, " of ")
		}
		b.WriteString(line)
	}
	a.text = b.String()
	if pos = plain(pos); pos != "" {
		again := call("travel", "from", pos, "to", to)
		if in.Direction != "" {
			again.Arguments["direction"] = in.Direction
		}
		a.next = append(a.next, again, call("values", "at", pos))
	}
	return a
}

func diff(ctx context.Context, s *server, path string, in *diffArgs) answer {
	other, err := s.root.Recording(in.Other)
	if err != nil {
		return answer{err: err.Error()}
	}
	a := s.command(ctx, "diff", "--", other, path)
	if m := eventAt().FindStringSubmatch(a.text); m != nil {
		a.next = append(a.next, call("values", "at", "e"+plain(m[1])))
	}
	a.next = append(a.next, sourceCall(a.text)...)
	return a
}

func source(ctx context.Context, s *server, path string, in *sourceArgs) answer {
	place, line := in.File, strings.TrimSpace(in.Line)
	if line != "" {
		if _, err := strconv.Atoi(line); err != nil {
			return answer{err: fmt.Sprintf("line: a number is wanted, not %q", brief(line))}
		}
		place += ":" + line
	}
	a := s.command(ctx, "info", "--source="+place, "--", path)
	if a.err == "" && line != "" {
		file, _, _ := strings.Cut(a.text, ", lines ")
		a.next = []Call{call("print", "place", filepath.Base(file)+":"+line)}
	}
	return a
}

func check(ctx context.Context, s *server, path string, in *checkArgs) answer {
	if strings.ContainsAny(in.Sentence, "\n\r\x00") || strings.TrimSpace(in.Sentence) == "" {
		return answer{err: "sentence: one line, such as: recv at client.py:31 blocked at end for > 1s"}
	}
	dir, err := os.MkdirTemp("", "pyrr-mcp-")
	if err != nil {
		return answer{err: err.Error()}
	}
	defer os.RemoveAll(dir)
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	spec := filepath.Join(dir, "sentence.yaml")
	text := fmt.Sprintf("version: 1\nname: sentence\nrecording: %s\nexpect:\n  - %s\n", quote(path), quote(in.Sentence))
	if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
		return answer{err: err.Error()}
	}
	a := s.command(ctx, "check", "-v", "--", spec)
	a.text, a.err = strings.ReplaceAll(a.text, dir+"/", ""), strings.ReplaceAll(a.err, dir+"/", "")
	a.next = []Call{call("draft")}
	return a
}

func draft(ctx context.Context, s *server, path string, _ *listArgs) answer {
	dir, err := os.MkdirTemp("", "pyrr-mcp-")
	if err != nil {
		return answer{err: err.Error()}
	}
	defer os.RemoveAll(dir)
	spec := filepath.Join(dir, "draft.yaml")
	a := s.command(ctx, "new", "-o", spec, "--", path)
	if a.err != "" {
		return a
	}
	a.text = ""
	files, _ := filepath.Glob(filepath.Join(dir, "*")) // the pattern is right
	for _, f := range files {
		b, more := beginning(f)
		if a.more = a.more || more; len(b) > 0 {
			a.text += "# " + filepath.Base(f) + "\n" + string(b) + "\n"
		}
	}
	return a
}

// beginning reads what an answer can hold of a file; of a folder that is nothing.
func beginning(name string) (b []byte, more bool) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	b, _ = io.ReadAll(io.LimitReader(f, maxBytes)) // what can be read
	return b, len(b) == maxBytes
}
