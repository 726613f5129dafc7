package engine

// item is an operation that goes through the control lane of a shard. It comes before the requests
// of its step, and is never refused. Both methods run on the drainer.
//
// Each operation has a file of its own, which holds its API, its item or items, and what they do.
// No other code knows about it.
type item interface {
	// decide is the item's part of the first pass of a step. It may decide events, which it records
	// in act.events, and it copies whatever an answer needs from the state at this point.
	decide(s *shard, act *action)

	// publish is the item's part of the third pass, after the commit. act is as decide left it.
	publish(s *shard, act *action)
}

// post puts an item into the control lane. If the engine has stopped, the item is dropped.
func (s *shard) post(it item) {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return
	}
	s.control = append(s.control, it)
	s.arm()
}

// decideItem runs the first pass of one item.
func (s *shard) decideItem(it item) {
	act := s.step.nextAction()
	act.item = it
	it.decide(s, act)
}
