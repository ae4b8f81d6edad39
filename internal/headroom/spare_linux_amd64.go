package headroom

// spareThreads says how many threads, of so many (24 at most), can be made at once now, by
// making them: each ends again before it returns. cmd/pyrr calls it before Go's runtime is there.
func spareThreads(most int) (made int)
