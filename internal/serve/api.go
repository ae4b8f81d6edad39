package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"pyrr/internal/served"
)

// Bounds of answers, in bytes: of a page, of a list, of what else is asked.
const (
	maxPage = 9 << 20
	maxList = 4 << 20
	maxRead = 1 << 20
	mostHit = 200 // lines of print
)

// quiet is where net/http writes: nowhere, since addresses and texts are a stranger's.
var quiet = log.New(io.Discard, "", 0)

// question answers a POST.
type question func(*Server, http.ResponseWriter, *http.Request) error

// questions are all that can be asked, by their paths.
var questions = map[string]question{
	"/api/list":  ask(list),
	"/api/why":   ask(why),
	"/api/page":  ask(pageOf),
	"/api/at":    ask(at),
	"/api/print": ask(printed),
	"/api/last":  ask(last),
}

// of is what every question may say: the recording that it is about.
type of struct {
	Recording string `json:"recording"`
}

// ask makes a question with arguments of one type.
func ask[In any](do func(context.Context, *Server, *In) (any, error)) question {
	return func(s *Server, w http.ResponseWriter, r *http.Request) error {
		var in In
		if err := read(w, r, &in); err != nil {
			return err
		}
		out, err := do(r.Context(), s, &in)
		if derr := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.reads)); err == nil {
			err = derr
		}
		if err != nil {
			return err
		}
		if text, ok := out.(html); ok {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, err := io.WriteString(w, string(text))
			return ignore(err)
		}
		writeJSON(w, http.StatusOK, out)
		return nil
	}
}

// html is an answer that is a document.
type html string

// read reads the body of a question, which has an end in size and time.
func read(w http.ResponseWriter, r *http.Request, in any) error {
	c := http.NewResponseController(w)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		return refuse(http.StatusRequestEntityTooLarge, "a question has %d bytes at most", maxBody)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "the question could not be read: %v", err)
	}
	// Until the answer is there nothing is to be read, nor to be written.
	if err := errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		return refuse(http.StatusBadRequest, "a question is JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return refuse(http.StatusBadRequest, "a question is one JSON value")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer has no JSON form"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(text) // who asked may have gone
}

// ignore drops an error of writing an answer: who asked has gone.
func ignore(error) error { return nil }

// run executes a command of pyrr about a recording.
func (s *Server) run(ctx context.Context, most int, args ...string) (served.Ran, error) {
	r := s.runner.Run(ctx, most, args...)
	switch {
	case r.Refused:
		return r, refuse(http.StatusTooManyRequests, "%s", r.Err)
	case r.Err != "":
		return r, refuse(http.StatusUnprocessableEntity, "%s", said(r.Err))
	case r.More:
		return r, refuse(http.StatusUnprocessableEntity, "the answer is longer than %d bytes: ask for less", most)
	}
	return r, nil
}

// said is what a command says: without its name, and how it got on.
func said(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimRight(line, "\n"), "pyrr: ")
		if !strings.HasPrefix(line, "… ") {
			out = append(out, strings.TrimPrefix(line, "error: "))
		}
	}
	if len(out) > 12 {
		out = append(out[:12], "…")
	}
	return strings.Join(out, "\n")
}

// path is the path of a recording that is asked about.
func (s *Server) path(o *of) (string, error) {
	path, err := s.root.Recording(o.Recording)
	if err != nil {
		return "", refuse(http.StatusNotFound, "%v", err)
	}
	return path, nil
}

// entry is a line of the list.
type entry struct {
	Name    string   `json:"name"`
	Path    string   `json:"path,omitempty"`
	Started string   `json:"started"`
	Size    int64    `json:"size"`
	Outcome string   `json:"outcome"`
	Test    string   `json:"test,omitempty"`
	Command []string `json:"command"`
	Error   string   `json:"error,omitempty"`
}

// mostListed bounds the list: of more, the newest are in it.
const mostListed = 1000

func list(ctx context.Context, s *Server, _ *struct{}) (any, error) {
	out := struct {
		One  bool    `json:"one"`
		All  []entry `json:"recordings"`
		Left int     `json:"left,omitempty"`
	}{One: s.root.One, All: []entry{}}
	if s.root.One {
		out.All = append(out.All, entry{Name: s.root.Name(s.root.Path)})
		return out, nil
	}
	// A recording that is damaged has its line, and its text on standard error.
	r := s.runner.Run(ctx, maxList, "ls", "--json", "--", s.root.Path)
	if r.Refused {
		return nil, refuse(http.StatusTooManyRequests, "%s", r.Err)
	}
	if err := json.Unmarshal([]byte(r.Out), &out.All); err != nil && r.RC != served.ExitNothing {
		return nil, refuse(http.StatusUnprocessableEntity, "%s", said(r.Err))
	}
	for i := range out.All {
		e := &out.All[i]
		e.Name, e.Path = s.root.Name(e.Path), ""
	}
	// What a link leads to outside the folder is not in it.
	out.All = slices.DeleteFunc(out.All, func(e entry) bool {
		_, err := s.root.Recording(e.Name)
		return err != nil
	})
	if n := len(out.All) - mostListed; n > 0 {
		out.All, out.Left = out.All[n:], n
	}
	return out, nil
}

func why(ctx context.Context, s *Server, in *of) (any, error) {
	path, err := s.path(in)
	if err != nil {
		return nil, err
	}
	r, err := s.run(ctx, maxRead, "explain", "--json", "--", path)
	if err != nil {
		return nil, err
	}
	var got struct {
		Why struct {
			Sentence string `json:"sentence"`
			Degree   string `json:"degree"`
		} `json:"why"`
	}
	if err := json.Unmarshal([]byte(r.Out), &got); err != nil {
		return nil, fmt.Errorf("what pyrr explain said: %w", err)
	}
	return got.Why, nil
}

func pageOf(ctx context.Context, s *Server, in *of) (any, error) {
	path, err := s.path(in)
	if err != nil {
		return nil, err
	}
	r := s.runner.Run(ctx, maxPage, "report", "-o", "-", "--", path)
	switch {
	case r.Refused:
		return nil, refuse(http.StatusTooManyRequests, "%s", r.Err)
	case strings.HasSuffix(r.Out, "</html>\n"):
		return html(r.Out), nil // of a damaged recording there is a page, too
	case r.Err != "":
		return nil, refuse(http.StatusUnprocessableEntity, "%s", said(r.Err))
	}
	return nil, refuse(http.StatusUnprocessableEntity, "the page is longer than %d bytes", maxPage)
}

// placed is a moment of a process: an event, or a position before the next
// instruction after so many.
type placed struct {
	of
	Process  int     `json:"process"`
	Event    *uint64 `json:"event,omitempty"`
	Position *uint64 `json:"position,omitempty"`
	Thread   int32   `json:"thread,omitempty"`
}

func (p *placed) where() (string, error) {
	switch {
	case p.Event != nil && p.Position == nil:
		return "e" + strconv.FormatUint(*p.Event, 10), nil
	case p.Position != nil && p.Event == nil:
		return strconv.FormatUint(*p.Position, 10), nil
	}
	return "", refuse(http.StatusBadRequest, "a moment is an event or a position")
}

func at(ctx context.Context, s *Server, in *placed) (any, error) {
	path, err := s.path(&in.of)
	if err != nil {
		return nil, err
	}
	where, err := in.where()
	if err != nil {
		return nil, err
	}
	args := []string{"bt", "--python", "--locals", "--json", "--at=" + where, "--process=" + strconv.Itoa(max(1, in.Process))}
	if in.Thread > 0 {
		args = append(args, "--thread="+strconv.Itoa(int(in.Thread)))
	}
	r, err := s.run(ctx, maxRead, append(args, "--", path)...)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(r.Out, "[") {
		return nil, refuse(http.StatusUnprocessableEntity, "%s", said(r.Out)) // there is no such moment or thread
	}
	return json.RawMessage(r.Out), nil
}

type printArgs struct {
	of
	Place  string `json:"place"`
	Exprs  string `json:"expressions"`
	If     string `json:"if"`
	Thread string `json:"thread"`
	Last   bool   `json:"last"` // the last ones, in place of the first
}

func printed(ctx context.Context, s *Server, in *printArgs) (any, error) {
	path, err := s.path(&in.of)
	if err != nil {
		return nil, err
	}
	end := "first"
	if in.Last {
		end = "last"
	}
	args := []string{"print", "--json", fmt.Sprintf("--%s=%d", end, mostHit)}
	if in.If != "" {
		args = append(args, "--if="+in.If)
	}
	if in.Thread != "" {
		args = append(args, "--thread="+in.Thread)
	}
	args = append(args, "--", path, in.Place)
	if in.Exprs != "" {
		args = append(args, in.Exprs)
	}
	r, err := s.run(ctx, maxRead, args...)
	if err != nil {
		return nil, err
	}
	return lines(r)
}

type lastArgs struct {
	of
	Expr    string `json:"expression"`
	At      string `json:"at"`
	In      string `json:"in"`
	Thread  string `json:"thread"`
	History bool   `json:"history"`
}

func last(ctx context.Context, s *Server, in *lastArgs) (any, error) {
	path, err := s.path(&in.of)
	if err != nil {
		return nil, err
	}
	args := []string{"last", "--json"}
	for _, f := range [][2]string{{"at", in.At}, {"in", in.In}, {"thread", in.Thread}} {
		if f[1] != "" {
			args = append(args, "--"+f[0]+"="+f[1])
		}
	}
	if in.History {
		args = append(args, "--history", "--most=50")
	}
	r, err := s.run(ctx, maxRead, append(args, "--", path, in.Expr)...)
	if err != nil {
		return nil, err
	}
	return lines(r)
}

// lines makes a list of the JSON objects that a command prints, one a line; where it
// found nothing it says why.
func lines(r served.Ran) (any, error) {
	out := struct {
		Found []json.RawMessage `json:"found"`
		None  string            `json:"none,omitempty"`
	}{Found: []json.RawMessage{}}
	if r.RC == served.ExitNothing {
		out.None = said(r.Out)
		return out, nil
	}
	for line := range strings.Lines(r.Out) {
		if text := strings.TrimSpace(line); strings.HasPrefix(text, "{") && json.Valid([]byte(text)) {
			out.Found = append(out.Found, json.RawMessage(text))
		}
	}
	return out, nil
}
