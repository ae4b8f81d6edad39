package digest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"pyrr/internal/printable"
	"pyrr/internal/screen"
	"pyrr/internal/show"
)

// SummaryMarkdown is the summary of a job, within its size: what has no room is named,
// and at last counted.
func SummaryMarkdown(f *Flags, groups [][]*Told) string {
	var b strings.Builder
	limit := int(f.MaxSize)
	const reserve = 4 << 10 // for what follows
	for i, g := range groups {
		section := groupMarkdown(g, true)
		if b.Len()+len(section)+reserve > limit {
			section = groupMarkdown(g, false)
		}
		if b.Len()+len(section)+reserve > limit {
			fmt.Fprintf(&b, "… and %s.\n\n", printable.Plural(uint64(len(groups)-i), "more fault", "more faults"))
			break
		}
		b.WriteString(section)
	}
	if len(groups) > 0 {
		b.WriteString(howToOpen(f, groups))
	}
	return b.String()
}

// groupMarkdown is the section of one fault. All that comes from recordings stands in
// code, where GitHub and GitLab neither mention nor link.
func groupMarkdown(g []*Told, whole bool) string {
	var b strings.Builder
	first := g[0]
	icon := map[int]string{0: "⏱️", 1: "💥", 2: "❌", 3: "⚠️"}[rank(first)]
	fmt.Fprintf(&b, "### %s %s %s\n\n", icon, printable.Code(cmp.Or(first.Test, first.command, filepath.Base(first.Recording))), plainText(first.what()))
	if first.Error != "" {
		fmt.Fprintf(&b, "%s\n\n", printable.Code(printable.Shorten(first.Error, 500)))
	}
	if first.Sentence != "" {
		fmt.Fprintf(&b, "%s\n\n", printable.Code(printable.Shorten(first.Sentence, 1000)))
	}
	if first.File != "" {
		place := printable.Code(fmt.Sprintf("%s:%d", first.File, first.Line))
		if at := sourceURL(first); at != "" {
			place = "[" + place + "](" + at + ")"
		}
		fmt.Fprintf(&b, "- **Where:** %s in %s\n", place, printable.Code(first.Func))
	}
	if len(g) > 1 {
		fmt.Fprintf(&b, "- **Seen:** %d times in this run, also by ", len(g))
		for i, t := range g[1:min(len(g), 6)] {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(printable.Code(cmp.Or(t.Test, t.command)))
		}
		if len(g) > 6 {
			fmt.Fprintf(&b, " and %d more", len(g)-6)
		}
		b.WriteByte('\n')
	}
	if first.Spec != "" {
		fmt.Fprintf(&b, "- **Covered:** by the spec %s\n", printable.Code(first.Spec))
	}
	fmt.Fprintf(&b, "- **Recording:** %s\n\n", printable.Code(filepath.Base(first.Recording)))
	if whole && first.Stacks != "" {
		fmt.Fprintf(&b, "<details><summary>Stacks</summary>\n\n%s\n</details>\n\n", printable.Fenced(first.Stacks))
	}
	return b.String()
}

// plainText leaves of a text what means nothing in Markdown.
func plainText(s string) string {
	return regexp.MustCompile(`[^A-Za-z0-9 ,.+-]`).ReplaceAllString(s, "")
}

// sourceURL is where a line can be seen, "" where nobody knows.
func sourceURL(t *Told) string {
	server, repo, sha := os.Getenv("GITHUB_SERVER_URL"), os.Getenv("GITHUB_REPOSITORY"), os.Getenv("GITHUB_SHA")
	if server == "" || repo == "" || sha == "" || !filepath.IsLocal(t.File) || t.Line < 1 {
		return ""
	}
	parts := strings.Split(filepath.ToSlash(t.File), "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	path := strings.NewReplacer("(", "%28", ")", "%29").Replace(strings.Join(parts, "/"))
	return fmt.Sprintf("%s/%s/blob/%s/%s#L%d", server, repo, sha, path, t.Line)
}

// howToOpen are the commands that bring a recording to a desk and open it.
func howToOpen(f *Flags, groups [][]*Told) string {
	var b strings.Builder
	name := printable.ShellQuote(filepath.Base(groups[0][0].Recording))
	b.WriteString("To see the same run again, on Linux x86-64:\n\n")
	commands := "pyrr open " + name + "\n"
	if run := os.Getenv("GITHUB_RUN_ID"); run != "" && f.Artifact != "" {
		commands = fmt.Sprintf("gh run download %s --name %s\n", printable.ShellQuote(run), printable.ShellQuote(f.Artifact)) + commands
		if repo := os.Getenv("GITHUB_REPOSITORY"); repo != "" {
			commands = strings.Replace(commands, " --name", " --repo "+printable.ShellQuote(repo)+" --name", 1)
		}
	}
	b.WriteString(printable.Fenced(commands))
	if u, err := url.Parse(f.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") && !strings.ContainsAny(f.URL, "()<> \n") {
		fmt.Fprintf(&b, "\n[The artifact with the recordings](%s)\n", f.URL)
	}
	return b.String()
}

// mostAnnotations is how many GitHub shows of a step.
const mostAnnotations = 10

// AnnotateAll prints an annotation for each fault.
func AnnotateAll(u *screen.UI, groups [][]*Told) {
	for _, g := range groups[:min(len(groups), mostAnnotations)] {
		t := g[0]
		if t.Error != "" {
			continue
		}
		place := ""
		if t.File != "" && filepath.IsLocal(t.File) {
			place = fmt.Sprintf("file=%s,line=%d,", show.WorkflowEscape(t.File, true), t.Line)
		}
		text := cmp.Or(t.Sentence, t.what())
		if t.Test != "" {
			text = t.Test + " " + t.what() + ". " + t.Sentence
		}
		if len(g) > 1 {
			text += fmt.Sprintf(" (%d times in this run)", len(g))
		}
		title := "pyrr: " + strings.Fields(t.what() + " ended")[0]
		fmt.Fprintf(u.Commands(), "::error %stitle=%s::%s\n", place, show.WorkflowEscape(title, true), show.WorkflowEscape(printable.Clean(printable.Shorten(text, 2000)), false))
	}
}

// codeQuality writes GitLab's Code Quality report, which shows an issue in the merge
// request beside its line (Code Climate's format, the fields that GitLab reads).
func codeQuality(w io.Writer, groups [][]*Told) error {
	type lines struct {
		Begin int `json:"begin"`
	}
	type location struct {
		Path  string `json:"path"`
		Lines lines  `json:"lines"`
	}
	type issue struct {
		Description string   `json:"description"`
		CheckName   string   `json:"check_name"`
		Fingerprint string   `json:"fingerprint"`
		Severity    string   `json:"severity"`
		Location    location `json:"location"`
	}
	out := []issue{}
	for _, g := range groups {
		t := g[0]
		if t.File == "" || !filepath.IsLocal(t.File) {
			continue
		}
		print := t.Fingerprint
		if print == "" {
			sum := sha256.Sum256([]byte(t.Test + "\x00" + t.Sentence))
			print = hex.EncodeToString(sum[:8])
		}
		kind := "failure"
		if rank(t) == 0 {
			kind = "hang"
		}
		out = append(out, issue{printable.Shorten(cmp.Or(t.Test, t.command)+" "+t.what()+". "+t.Sentence, 1000), "pyrr-" + kind, print, "critical", location{t.File, lines{max(1, t.Line)}}})
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
