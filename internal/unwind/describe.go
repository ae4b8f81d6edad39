package unwind

import "pyrr/internal/stack"

// Describe says what a frame is by symbols alone: function, module, offset.
func (f *Frame) Describe() stack.Frame {
	out := stack.Frame{Kind: stack.C, Err: f.Err}
	if f.Module == nil {
		out.Offset = f.PC
		return out
	}
	out.Module, out.Offset = f.Module.Name, f.PC-f.Module.Bias
	if name, _, ok := f.Module.Symbol(f.callPC() - f.Module.Bias); ok {
		out.Func = name
	}
	return out
}
