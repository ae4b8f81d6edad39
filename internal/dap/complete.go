package dap

import (
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/google/go-dap"

	"pyrr/cpython"
	"pyrr/internal/lazyregexp"
	"pyrr/replay"
)

// begunWord is what was begun at the end of a text: a name, or an object and a part of
// one of its attributes.
var begunWord = lazyregexp.New(`((?:[\pL_][\pL\pN_]*|\.|\[[^][]*\])*\.)?([\pL_][\pL\pN_]*)?$`)

// maxTargets bounds what is offered.
const maxTargets = 500

// completions lists what a name that was begun in the debug console may become: the
// frame's variables and globals, or the attributes of an object; behind -exec, what the
// console's commands take.
func (s *Server) completions(m *message, args *dap.CompletionsArguments) error {
	r := &dap.CompletionsResponse{Response: m.answer()}
	r.Body.Targets = []dap.CompletionItem{}
	// Columns count UTF-16 code units from 1, as the client was not asked otherwise.
	units := utf16.Encode([]rune(args.Text))
	text := string(utf16.Decode(units[:max(0, min(args.Column-1, len(units)))]))
	add := func(label, begun string) {
		if strings.HasPrefix(label, begun) && len(r.Body.Targets) < maxTargets {
			n := len(utf16.Encode([]rune(begun)))
			r.Body.Targets = append(r.Body.Targets, dap.CompletionItem{Label: label, Start: len(utf16.Encode([]rune(text))) - n, Length: n})
		}
	}
	if line, ok := strings.CutPrefix(text, "-exec "); ok {
		begun := line[strings.LastIndexByte(line, ' ')+1:]
		for _, c := range s.t.Complete(line) {
			add(strings.TrimPrefix(c, line[:len(line)-len(begun)]), begun)
		}
		s.send(r)
		return nil
	}
	word := begunWord().FindStringSubmatch(text)
	for _, name := range s.namesOf(args.FrameId, strings.TrimSuffix(word[1], ".")) {
		add(name, word[2])
	}
	s.send(r)
	return nil
}

// namesOf lists the attributes of the object that an expression leads to, or for ""
// what a frame's names are.
func (s *Server) namesOf(frame int, owner string) []string {
	f, err := s.frame(frame)
	if err != nil || f.Python == nil {
		return nil // at no Python frame there is nothing to offer
	}
	var out []string
	_ = s.x.With(func(p *replay.Process, _ *replay.Thread) error {
		rt, err := p.Runtime()
		if err != nil {
			return err
		}
		if owner == "" {
			locals, _ := rt.Locals(p.Mem(), *f.Python) // those before an error
			globals, _ := rt.Globals(p.Mem(), *f.Python)
			for _, v := range slices.Concat(locals, globals) {
				out = append(out, v.Name)
			}
			return nil
		}
		path, err := cpython.ParsePath(owner)
		if err != nil {
			return err
		}
		o, err := rt.Resolve(p.Mem(), *f.Python, path)
		if err != nil {
			return err
		}
		parts, err := rt.Children(p.Mem(), o.Addr, 0, maxTargets)
		for _, c := range parts {
			if c.Name != "" && strings.IndexByte("[{(", c.Name[0]) < 0 {
				out = append(out, c.Name)
			}
		}
		return err
	})
	slices.Sort(out)
	return slices.Compact(out)
}
