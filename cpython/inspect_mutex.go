package cpython

// Mutex tells whether word is a mutex of glibc that one waits for, and the kernel's number of
// the thread that has it: struct __pthread_mutex_s (sysdeps/nptl/bits/struct_mutex.h) begins
// with the lock, which is 2 then, a count, the owner, the number of users and the kind.
func (i *Inspector) Mutex(word uint64) (owner int, ok bool) {
	s, err := i.v.record("mutex", word, 24)
	if word == 0 || err != nil {
		return 0, false
	}
	const kinds, elided = 3, 0x300
	owner = s.i32(8)
	return owner, s.i32(0) == 2 && owner > 0 && s.i32(12) > 0 && s.i32(16)&^elided <= kinds && s.i32(16) >= 0
}
