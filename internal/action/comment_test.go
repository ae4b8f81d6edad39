package action

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// stage plays the part of actions/github-script: an object like Octokit's, which keeps
// the comments of a pull request in a file, and the part of the toolkit's core.
const stage = `
const fs = require('fs')
const file = process.env.STAGE
const state = JSON.parse(fs.readFileSync(file))
const denied = () => { const e = new Error('Resource not accessible by integration'); e.status = 403; throw e }
const github = {
  paginate: async (method, options) => (await method(options)).data,
  rest: { issues: {
    listComments: async ({ owner, repo, issue_number }) => { state.asked = [owner, repo, issue_number]; return { data: state.comments } },
    createComment: async ({ body }) => {
      if (state.denied) denied()
      const c = { id: state.comments.length + 1, body, user: { type: 'Bot' }, html_url: 'url' + (state.comments.length + 1) }
      state.comments.push(c)
      return { data: c }
    },
    updateComment: async ({ comment_id, body }) => {
      if (state.denied) denied()
      state.comments.find((c) => c.id === comment_id).body = body
      return { data: {} }
    },
  } },
}
const core = { info: (text) => state.said.push(text) }
const context = { repo: { owner: 'owner', repo: 'shop' }, payload: state.pull ? { pull_request: { number: state.pull } } : {} }
;(async () => {
  ${SCRIPT}
  fs.writeFileSync(file, JSON.stringify(state))
})().catch((e) => { console.error(e); process.exit(1) })
`

type comment struct {
	ID   int    `json:"id"`
	Body string `json:"body"`
	User struct {
		Type string `json:"type"`
	} `json:"user"`
	URL string `json:"html_url"`
}

// pull is a pull request as the stage sees it.
type pull struct {
	Pull     int       `json:"pull"`
	Denied   bool      `json:"denied"`
	Comments []comment `json:"comments"`
	Said     []string  `json:"said"`
	Asked    []any     `json:"asked"`
}

// act runs a script of github-script on the stage.
func (p *pull) act(t *testing.T, script string, env ...string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node")
	}
	dir := t.TempDir()
	state := filepath.Join(dir, "state.json")
	if p.Comments == nil {
		p.Comments = []comment{}
	}
	p.Said = []string{}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, b, 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "-e", strings.Replace(stage, "${SCRIPT}", script, 1))
	root, _ := filepath.Abs("../..")
	cmd.Env = append(append(os.Environ(), "STAGE="+state, "GITHUB_ACTION_PATH="+root), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err = os.ReadFile(state)
	if err == nil {
		err = json.Unmarshal(b, p)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// script runs a step of github-script.
func (r *runner) script(s *step) {
	r.t.Helper()
	var env []string
	for k, v := range s.Env {
		env = append(env, k+"="+r.expand(v))
	}
	r.pull.act(r.t, s.With["script"], env...)
	fmt.Fprintf(&r.log, "--- %s\n%s\n", s.Name, strings.Join(r.pull.Said, "\n"))
}

// TestComment: one comment for each job, kept up to date, nothing of other people's
// touched, and no failure where the token may not write.
func TestComment(t *testing.T) {
	var script string
	for _, s := range readAction(t).Runs.Steps {
		if strings.HasPrefix(s.Uses, "actions/github-script@") {
			script = s.With["script"]
		}
	}
	text := filepath.Join(t.TempDir(), "comment.md")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(text, []byte(s), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	env := func(result, job string) []string {
		return []string{"PYRR_COMMENT=" + text, "PYRR_RESULT=" + result, "PYRR_JOB=" + job}
	}
	p := &pull{Pull: 5}
	stranger := comment{ID: 1, Body: "<!-- pyrr pyrr-recordings-test-3.12 -->\nmine"}
	stranger.User.Type = "User"
	p.Comments = []comment{stranger}
	write("passes")
	p.act(t, script, env("passed", "pyrr-recordings-test-3.12-1")...)
	if len(p.Comments) != 1 {
		t.Errorf("of what passed: %+v", p.Comments)
	}
	write("it hung")
	p.act(t, script, env("timeout", "pyrr-recordings-test-3.12-1")...)
	p.act(t, script, env("timeout", "pyrr-recordings-test-3.13-1")...)
	if len(p.Comments) != 3 || !strings.HasSuffix(p.Comments[1].Body, "\nit hung") || fmt.Sprint(p.Asked) != "[owner shop 5]" {
		t.Fatalf("%+v %v", p.Comments, p.Asked)
	}
	write("passes again")
	p.act(t, script, env("passed", "pyrr-recordings-test-3.12-2")...)
	if len(p.Comments) != 3 || !strings.HasSuffix(p.Comments[1].Body, "\npasses again") || !strings.HasSuffix(p.Comments[2].Body, "it hung") || !strings.HasSuffix(p.Comments[0].Body, "mine") {
		t.Errorf("%+v", p.Comments)
	}
	p.Denied = true
	p.act(t, script, env("failed", "pyrr-recordings-test-3.12-3")...)
	if len(p.Said) != 1 || !strings.Contains(p.Said[0], "may not write comments") {
		t.Errorf("it said %q", p.Said)
	}
	none := &pull{}
	none.act(t, script, env("failed", "x-1")...)
	if len(none.Said) != 1 || !strings.Contains(none.Said[0], "no pull request") {
		t.Errorf("it said %q", none.Said)
	}
}
