package page

import (
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/stack"
)

// Bounds of the stacks of a page.
const (
	maxNodes  = 1 << 20
	maxFrames = 300 // of one stack: of more, those in the middle are left out
)

// frame is a frame as the page has it.
type frame struct {
	Func   string `json:"f"`
	File   int    `json:"p"` // index of the file, -1 for none
	Line   int    `json:"l,omitempty"`
	Col    int    `json:"c,omitempty"`
	End    int    `json:"e,omitempty"` // column behind the last, on the same line
	Module string `json:"m,omitempty"` // of a C frame
	C      bool   `json:"k,omitempty"`
	// Own is 2 for the user's code, 1 for libraries, 0 for what runs tests and for C.
	Own int `json:"o,omitempty"`
}

// tree holds all stacks as a tree from their outermost frames on.
type tree struct {
	paths  stack.Paths
	frames []frame
	files  []*file
	parent []uint32 // of each node; 0 is not a stack
	frame  []uint32

	byFrame map[stack.Frame]uint32
	byFile  map[string]int
	byEdge  map[[2]uint32]uint32
	byNode  map[uint32]uint32
}

func newTree(root string) *tree {
	return &tree{paths: stack.Paths{Root: root}, parent: []uint32{0}, frame: []uint32{0}, byFrame: map[stack.Frame]uint32{},
		byFile: map[string]int{}, byEdge: map[[2]uint32]uint32{}, byNode: map[uint32]uint32{}}
}

// add adds a stack, innermost frame first.
func (t *tree) add(frames []stack.Frame) uint32 {
	at := uint32(0)
	for i := len(frames) - 1; i >= 0; i-- {
		f := &frames[i]
		if f.Eval || len(frames) > maxFrames && i >= maxFrames/2 && i < len(frames)-maxFrames/2 {
			continue
		}
		edge := [2]uint32{at, t.frameOf(f)}
		next, ok := t.byEdge[edge]
		if !ok {
			if len(t.parent) >= maxNodes {
				return at
			}
			next = uint32(len(t.parent))
			t.parent, t.frame = append(t.parent, at), append(t.frame, edge[1])
			t.byEdge[edge] = next
		}
		at = next
	}
	return at
}

func (t *tree) frameOf(f *stack.Frame) uint32 {
	key := *f
	key.Offset, key.Text, key.Err = 0, "", ""
	n, ok := t.byFrame[key]
	if ok {
		return n
	}
	out := frame{Func: name(f.Func), File: -1, Line: f.Line}
	if f.Kind == stack.C {
		out.C, out.Module, out.Line = true, clean(shorten(f.Module, 200)), 0
	} else {
		out.File = t.fileOf(f.File)
		if own := t.files[out.File]; own.Own {
			out.Own = 2
		} else if !hang.Machinery(f.File) {
			out.Own = 1
		}
		if f.EndLine == f.Line {
			out.Col, out.End = f.Col, f.EndCol
		}
		t.files[out.File].uses(f.Line)
	}
	n = uint32(len(t.frames))
	t.frames = append(t.frames, out)
	t.byFrame[key] = n
	return n
}

// name is how people call a file: the last two parts of the path of one that lies
// neither in the project nor in a library.
func (t *tree) name(file string) string {
	short, origin := t.paths.Short(file)
	if parts := strings.Split(short, "/"); origin == stack.Elsewhere && parts[0] == "" && len(parts) > 3 {
		short = "…/" + strings.Join(parts[len(parts)-2:], "/")
	}
	return name(short)
}

// fileOf returns the number of a Python file.
func (t *tree) fileOf(path string) int {
	n, ok := t.byFile[path]
	if !ok {
		n = len(t.files)
		t.files = append(t.files, &file{path: path, Name: t.name(path), Own: !hang.Library(path), lines: map[int]bool{}})
		t.byFile[path] = n
	}
	return n
}
