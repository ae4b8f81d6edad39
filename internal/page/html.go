package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"pyrr/internal/hang"
)

//go:embed page.html
var pageText string

// The script and the style are made from web/src by web/build.mjs.
//
//go:embed web/built/page.js
var script string

//go:embed web/built/page.css
var style string

// The script of pyrr serve has the page's own in it, and asks the server.
//
//go:embed web/built/live.js
var live string

// view is what the template shows: what must be there without a script.
type view struct {
	Policy, Title, Outcome string
	Bad                    bool
	Why                    why
	Degree, Since          string
	Evidence               []viewEvidence
	Raised                 *viewRaised
	Facts                  []Fact
	Unlike                 *Unlike
	Threads                []viewThread
	Commands               []string
	Style                  template.CSS
}

type viewEvidence struct {
	evidence
	Hash  string
	Place string
}

// viewRaised is an exception.
type viewRaised struct {
	Text   string
	Frames []viewFrame
	Folded int
	Causes []string
}

type viewFrame struct {
	Func, Place, Code string
	Vars              []hang.Var
}

type viewThread struct {
	Title, Waits string
	Frames       []viewFrame
	Folded       int
}

// hash is the source of an inline block as a policy names it (CSP level 2, §4.2.5).
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// policy permits the page's own script and style, and nothing that is not in it.
func policy() string {
	return "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) +
		"; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// LivePolicy is that of pyrr serve's pages: as the page's, and questions to the server
// that they came from.
func LivePolicy() string {
	return "default-src 'none'; script-src " + hash(live) + "; style-src " + hash(style) + "; connect-src 'self'; img-src data:; base-uri 'none'; " +
		"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// Shell is the document that pyrr serve gives for every address: it holds nothing of
// any recording, its script asks for that.
func Shell() []byte {
	return []byte("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" +
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n" +
		"<meta name=\"referrer\" content=\"no-referrer\">\n<link rel=\"icon\" href=\"data:,\">\n<title>pyrr serve</title>\n<style>" + style +
		"</style>\n</head>\n<body>\n<main class=\"wait\"><h1>pyrr serve</h1><p role=\"status\" id=\"wait\">This page needs its script, and a browser of 2023 or later.</p></main>\n" +
		"<script>" + live + "</script>\n</body>\n</html>\n")
}

func (p *Page) writeHTML(w io.Writer) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	if err := t.Execute(w, p.view()); err != nil {
		return err
	}
	// What the template has no business with: base64, and the script.
	_, err = fmt.Fprintf(w, "<script type=\"application/octet-stream\" id=\"block\">%s</script>\n<script>%s</script>\n</body>\n</html>\n", p.block, script)
	return err
}

func (p *Page) view() *view {
	d := p.doc
	v := &view{Policy: policy(), Title: d.Title, Outcome: d.Outcome, Bad: p.in.Bad, Why: d.Why, Unlike: d.Unlike, Style: template.CSS(style)}
	switch d.Why.Degree {
	case hang.Proven, hang.Likely:
		v.Degree = d.Why.Degree
	default:
		v.Degree = "no verdict"
	}
	if v.Why.Sentence == "" {
		v.Why.Sentence = "Why it ended so is not known."
	}
	if d.Why.For > 0 && (p.in.Why == nil || p.in.Why.Raised == nil) {
		v.Since = fmt.Sprintf("since %.3f s, for %.3f s", time.Duration(d.Why.Since).Seconds(), time.Duration(d.Why.For).Seconds())
	}
	for _, e := range d.Why.Evidence {
		out := viewEvidence{evidence: e}
		if e.Event > 0 && e.Proc < len(d.Procs) {
			out.Hash = fmt.Sprintf("#m=%d.%d", d.Procs[e.Proc].ID, e.Event)
		}
		if e.File != "" {
			out.Place = fmt.Sprintf("%s:%d", e.File, e.Line)
		}
		v.Evidence = append(v.Evidence, out)
	}
	for _, f := range p.in.Facts {
		v.Facts = append(v.Facts, Fact{clean(f.Name), clean(f.Value)})
	}
	for _, c := range p.in.Commands {
		v.Commands = append(v.Commands, clean(c))
	}
	p.addRaised(v)
	p.addThreads(v)
	return v
}

// addRaised adds the exception, with the frames of the user's code.
func (p *Page) addRaised(v *view) {
	if p.in.Why == nil || p.in.Why.Raised == nil {
		return
	}
	r := p.in.Why.Raised
	out := &viewRaised{}
	if text := strings.TrimSpace(r.Text); strings.Contains(text, "\n") {
		out.Text = cleanText([]byte(cutTo(text, 4000)))
	}
	texts, _ := p.in.Rec.Sources()
	for i := range r.Frames {
		f := &r.Frames[i]
		if hang.Machinery(f.File) || hang.Library(f.File) && i > 0 {
			out.Folded++
			continue
		}
		row := viewFrame{Func: clean(f.Func), Place: p.place(f.File, f.Line), Code: lineOf(texts, f.File, f.Line)}
		for _, x := range f.Vars {
			row.Vars = append(row.Vars, hang.Var{Name: clean(x.Name), Value: clean(cutTo(x.Value, 400))})
		}
		out.Frames = append(out.Frames, row)
	}
	from := r.From
	for c, n := r.Cause, 0; c != nil && n < 5; c, n = c.Cause, n+1 {
		at := ""
		if len(c.Frames) > 0 {
			at = " (" + p.place(c.Frames[0].File, c.Frames[0].Line) + ")"
		}
		out.Causes = append(out.Causes, clean(from+" "+c.Type+": "+shorten(c.Text, 300)+at))
		from = c.From
	}
	v.Raised = out
}

// place is FILE:LINE as people name it.
func (p *Page) place(file string, line int) string {
	return fmt.Sprintf("%s:%d", p.tree.name(file), line)
}

// cutTo cuts a text of several lines to n bytes at most.
func cutTo(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// addThreads adds how the threads stood at the end, for paper and for who has no
// script.
func (p *Page) addThreads(v *view) {
	const most = 100
	d := p.doc
	last := map[int32]uint32{}
	rows := p.rows
	for i := range rows {
		if n := rows[i].ended; n != 0 {
			last[rows[i].lane] = n
		} else if n := p.nodes[rows[i].node]; n != 0 {
			last[rows[i].lane] = n
		}
	}
	for i := range d.Lanes {
		l := &d.Lanes[i]
		if l.Waits == "" || len(v.Threads) >= most {
			continue
		}
		t := viewThread{Title: strings.TrimSpace(fmt.Sprintf("thread %d %s", l.Num, l.Name)), Waits: l.Waits}
		if len(d.Procs) > 1 {
			t.Title = fmt.Sprintf("process %d, %s", d.Procs[l.Proc].ID, t.Title)
		}
		inner := true
		for n := last[int32(i)]; n != 0; n = p.tree.parent[n] {
			f := &d.Frames[p.tree.frame[n]]
			if f.C || f.Own < 2 && !inner {
				t.Folded++
				continue
			}
			inner = false
			row := viewFrame{Func: f.Func}
			if f.File >= 0 {
				row.Place = fmt.Sprintf("%s:%d", d.Files[f.File].Name, f.Line)
				row.Code = strings.TrimSpace(d.Files[f.File].line(f.Line))
			}
			t.Frames = append(t.Frames, row)
		}
		v.Threads = append(v.Threads, t)
	}
}

// line is a line of a file, "" where the page does not have it.
func (f *file) line(n int) string {
	for _, p := range f.Parts {
		if n >= p.From {
			lines := strings.SplitN(p.Text, "\n", n-p.From+2)
			if i := n - p.From; i < len(lines) && !strings.Contains(lines[i], "\n") {
				return lines[i]
			}
		}
	}
	return ""
}
