package cpython

// CoroFrames returns the frames that a suspended coroutine or generator is in, and
// those of what it awaits, innermost first.
func (i *Inspector) CoroFrames(coro uint64) []Frame {
	if genKinds[i.Type(coro)] != isGen {
		return nil
	}
	frames, _, _, _ := i.r.chain(i.v, coro)
	return frames
}
