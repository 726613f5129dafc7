package load

// timer says when a connection sends. conn is its index among the connections of its
// thread.
type timer struct {
	at   int64
	conn int32
}

// timers is a binary heap, earliest first. container/heap would allocate an interface for
// each timer.
type timers []timer

func (h *timers) add(at int64, conn int32) {
	t := append(*h, timer{at, conn})
	i := len(t) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if t[parent].at <= t[i].at {
			break
		}
		t[parent], t[i] = t[i], t[parent]
		i = parent
	}
	*h = t
}

func (h *timers) pop() timer {
	t := *h
	first, last := t[0], len(t)-1
	t[0] = t[last]
	t = t[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if right := child + 1; right < last && t[right].at < t[child].at {
			child = right
		}
		if t[i].at <= t[child].at {
			break
		}
		t[i], t[child] = t[child], t[i]
		i = child
	}
	*h = t
	return first
}
