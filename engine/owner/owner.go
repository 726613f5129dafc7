// Package owner checks, where it is built in, that a field which belongs to one goroutine is touched by no other.
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
//		s.drainer.Check() // a defect of the program panics here, at the place where it is
//		…
//	}
//
// It is built in with the tag ownercheck, as `make race` does. Without the tag a Goroutine has no size, and its
// methods are empty and cost nothing. The race detector finds only races that happen in a run; a check finds the
// wrong goroutine whether or not the right one is at work at that moment.
package owner
