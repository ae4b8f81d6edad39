package show

import "pyrr/internal/stack"

// Frame is a frame in the JSON form of pyrr events.
type Frame struct {
	Kind    string `json:"kind"`
	Func    string `json:"func,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	EndLine int    `json:"endLine,omitempty"`
	Col     int    `json:"col,omitempty"`
	EndCol  int    `json:"endCol,omitempty"`
	Module  string `json:"module,omitempty"`
	Offset  uint64 `json:"offset,omitempty"`
	Error   string `json:"error,omitempty"`
}

func NewFrame(f *stack.Frame) Frame {
	kind := "python"
	if f.Kind == stack.C {
		kind = "c"
	}
	return Frame{kind, f.Func, f.File, f.Line, f.EndLine, f.Col, f.EndCol, f.Module, f.Offset, f.Err}
}
