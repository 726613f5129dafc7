package engine

// item is an operation that goes through the control lane of a shard. It comes before the requests of its step, and is
// never refused. Both methods run on the drainer.
//
// An operation is one file: what it is asked with, its item or items, and what they do. Nothing else has to know of it.
type item interface {
	// decide is the item's part of the first pass of a step: it may decide events, whose span it notes in act, and
	// copies what an answer needs as of this place.
	decide(s *shard, act *action)

	// publish is its part of the third pass, after the commit. It finds act as decide has left it.
	publish(s *shard, act *action)
}

// post puts an item into the control lane. Nobody serves it if the engine has stopped.
func (s *shard) post(it item) {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return
	}
	s.control = append(s.control, it)
	s.arm()
}

// decideItem is the first pass of one item.
func (s *shard) decideItem(it item) {
	act := s.step.nextAction()
	act.item = it
	it.decide(s, act)
}
