package report

import (
	"encoding/json"
	"io"

	"pyrr/assert"
	"pyrr/internal/stack"
)

// The JSON form of a run. Fields are only ever added; two checks of the same
// recordings give the same bytes except for the fields named "seconds".
type (
	jsonRun struct {
		Version   int        `json:"version"`
		Outcome   string     `json:"outcome"`
		Counts    jsonCounts `json:"counts"`
		Specs     []jsonSpec `json:"specs"`
		Unused    []string   `json:"unusedGoldens,omitempty"`
		Unmatched []string   `json:"unmatchedRecordings,omitempty"`
		Seconds   float64    `json:"seconds"`
	}
	jsonCounts struct {
		Pass     int `json:"pass"`
		Fail     int `json:"fail"`
		Unjudged int `json:"unjudged"`
		Error    int `json:"error"`
		Skip     int `json:"skip"`
		XFail    int `json:"xfail"`
		XPass    int `json:"xpass"`
	}
	jsonSpec struct {
		ID         string          `json:"id"`
		File       string          `json:"file"`
		Name       string          `json:"name"`
		Case       []jsonParam     `json:"case,omitempty"`
		Tags       []string        `json:"tags,omitempty"`
		Test       string          `json:"test,omitempty"`
		Recording  string          `json:"recording"`
		Verdict    assert.Verdict  `json:"verdict"`
		Reason     string          `json:"reason,omitempty"`
		Divergence *jsonDivergence `json:"divergence,omitempty"`
		Events     int             `json:"events"`
		Checks     []jsonCheck     `json:"checks"`
		Seconds    float64         `json:"seconds"`
	}
	jsonParam struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	jsonDivergence struct {
		Process      int      `json:"process"`
		Instructions uint64   `json:"instructions"`
		Event        uint64   `json:"event"`
		Recorded     string   `json:"recorded"`
		Came         string   `json:"came"`
		Around       []string `json:"around,omitempty"`
	}
	jsonPlace struct {
		Line   int `json:"line"`
		Column int `json:"column"`
		Length int `json:"length"`
	}
	jsonCheck struct {
		ID      string          `json:"id"`
		Name    string          `json:"name"`
		Verdict assert.Verdict  `json:"verdict"`
		Want    string          `json:"want"`
		Got     string          `json:"got,omitempty"`
		Place   jsonPlace       `json:"place"`
		Mark    *jsonPlace      `json:"mark,omitempty"`
		Events  []jsonMoment    `json:"events,omitempty"`
		Nearest []jsonCandidate `json:"nearest,omitempty"`
		Golden  *jsonGolden     `json:"golden,omitempty"`
		Notes   []string        `json:"notes,omitempty"`
	}
	jsonMoment struct {
		Index        int        `json:"index"`
		Process      int        `json:"process"`
		Thread       int        `json:"thread"`
		ThreadName   string     `json:"threadName,omitempty"`
		Instructions uint64     `json:"instructions"`
		Event        uint64     `json:"event"`
		At           float64    `json:"at"` // seconds since the recording began
		Text         string     `json:"text"`
		Frame        *jsonFrame `json:"frame,omitempty"`     // nearest outside the standard library
		Innermost    *jsonFrame `json:"innermost,omitempty"` // of the Python frames
		Chosen       bool       `json:"chosen"`
	}
	jsonFrame struct {
		Kind string `json:"kind,omitempty"`
		Func string `json:"func"`
		File string `json:"file"`
		Line int    `json:"line,omitempty"`
		Text string `json:"text,omitempty"`
	}
	jsonCandidate struct {
		Index  int    `json:"index"`
		Clause string `json:"clause"`
		Say    string `json:"say"`
	}
	jsonGolden struct {
		File    string       `json:"file"`
		Missing bool         `json:"missing,omitempty"`
		Threads []jsonThread `json:"threads,omitempty"`
	}
	jsonThread struct {
		Name  string    `json:"name,omitempty"`
		Equal bool      `json:"equal"`
		Rows  []jsonRow `json:"rows"`
	}
	jsonRow struct {
		Op   string `json:"op"`
		Want *int   `json:"want,omitempty"`
		Got  *int   `json:"got,omitempty"`
		// Golden is the golden's line, Frame what was found.
		Golden string     `json:"golden,omitempty"`
		Frame  *jsonFrame `json:"frame,omitempty"`
	}
)

// outcomes are the names of the outcomes.
var outcomes = map[assert.Outcome]string{
	assert.OutcomeNothing: "nothing", assert.OutcomePass: "pass", assert.OutcomeUnjudged: "unjudged",
	assert.OutcomeBroken: "error", assert.OutcomeFail: "fail",
}

var _ = form(Form{Flag: "json", Help: "print JSON", JSON: true, Write: func(w io.Writer, run *assert.Run, _ bool) error { return JSON(w, run) }})

// JSON prints a run as one JSON document.
func JSON(w io.Writer, run *assert.Run) error {
	out := jsonRun{Version: 1, Outcome: outcomes[run.Outcome()], Specs: []jsonSpec{}, Unused: run.Unused, Unmatched: run.Unmatched, Seconds: run.Elapsed.Seconds()}
	counts := map[assert.Verdict]*int{
		assert.Pass: &out.Counts.Pass, assert.Fail: &out.Counts.Fail, assert.Unjudged: &out.Counts.Unjudged, assert.Broken: &out.Counts.Error,
		assert.Skip: &out.Counts.Skip, assert.XFailed: &out.Counts.XFail, assert.XPassed: &out.Counts.XPass,
	}
	for _, s := range run.Specs {
		*counts[s.Verdict]++
		out.Specs = append(out.Specs, specJSON(s))
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}

func specJSON(s *assert.SpecResult) jsonSpec {
	out := jsonSpec{ID: s.Spec.ID(), File: s.Spec.File, Name: s.Spec.Name, Tags: s.Spec.Tags, Test: s.Spec.Test, Recording: s.Recording,
		Verdict: s.Verdict, Reason: s.Reason, Events: s.Events, Checks: []jsonCheck{}, Seconds: s.Elapsed.Seconds()}
	for _, p := range s.Spec.Case {
		out.Case = append(out.Case, jsonParam{p.Name, p.Value})
	}
	if d := s.Divergence; d != nil {
		out.Divergence = &jsonDivergence{d.Proc, d.Pos.Instr, d.Pos.Event, d.Recorded, d.Came, d.Around}
	}
	for _, c := range s.Checks {
		out.Checks = append(out.Checks, checkJSON(c))
	}
	return out
}

func checkJSON(c *assert.Result) jsonCheck {
	out := jsonCheck{ID: c.ID, Name: c.Name, Verdict: c.Verdict, Want: c.Want, Got: c.Got, Place: placeJSON(c.Place), Notes: c.Notes}
	if c.Verdict != assert.Pass {
		m := placeJSON(c.Mark)
		out.Mark = &m
	}
	for _, m := range c.Moments {
		j := jsonMoment{Index: m.Index, Process: m.Proc, Thread: m.Thread, ThreadName: m.ThreadName, Instructions: m.Pos.Instr,
			Event: m.Pos.Event, At: m.Start.Seconds(), Text: m.Event, Chosen: m.Chosen}
		if m.File != "" {
			j.Frame = &jsonFrame{Func: m.Func, File: m.File, Line: m.Line}
			j.Innermost = &jsonFrame{Func: m.Inner.Func, File: m.Inner.File, Line: m.Inner.Line}
		}
		out.Events = append(out.Events, j)
	}
	for _, n := range c.Nearest {
		out.Nearest = append(out.Nearest, jsonCandidate{n.Moment.Index, n.Clause, n.Say})
	}
	if g := c.Golden; g != nil {
		out.Golden = &jsonGolden{File: g.File, Missing: g.Missing}
		for i := range g.Threads {
			out.Golden.Threads = append(out.Golden.Threads, threadJSON(&g.Threads[i]))
		}
	}
	return out
}

func placeJSON(p assert.Place) jsonPlace { return jsonPlace{p.Line, p.Col, p.Len} }

var opNames = map[stack.Op]string{stack.Same: "same", stack.Moved: "moved", stack.Gone: "gone", stack.Added: "added", stack.Any: "any", stack.Gap: "gap"}

func threadJSON(t *assert.ThreadDiff) jsonThread {
	out := jsonThread{Name: t.Name, Equal: t.Diff.Equal, Rows: []jsonRow{}}
	for i := range t.Diff.Rows {
		r := &t.Diff.Rows[i]
		row := jsonRow{Op: opNames[r.Op]}
		if r.Want >= 0 {
			row.Want = &r.Want
		}
		if r.Got >= 0 {
			row.Got = &r.Got
			f := &r.Frame
			row.Frame = &jsonFrame{Kind: "python", Func: f.Func, File: f.File, Line: f.Line, Text: f.Text}
			if f.Kind == stack.C {
				row.Frame = &jsonFrame{Kind: "c", Func: f.Func, File: f.Module}
			}
		}
		if r.Op != stack.Added && r.Op != stack.Any {
			row.Golden = r.Line.String()
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}
