// Package owner checks, in builds with the tag ownercheck, that a field which belongs to one
// goroutine is not touched by another.
//
//	type shard struct {
//		drainer owner.Goroutine // owns what follows
//		…
//	}
//
//	func (s *shard) drain() {
//		s.drainer.Take()
//		defer s.drainer.Release()
//		…
//	}
//
//	func (s *shard) find(account uint64) *account {
//		s.drainer.Check() // a call from the wrong goroutine panics here
//		…
//	}
//
// `make race` builds with the tag. Without it a Goroutine has no size, and its methods are empty
// and cost nothing. The race detector only finds races that happen during a run; a check finds the
// wrong goroutine even if the right one is not running at that moment.
package owner
