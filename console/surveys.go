package console

import (
	"context"
	"sync"
	"time"
)

// Questions that look at every account are worked on one at a time, and their answers are kept for a
// moment: however many ask, the shards spend a small part of their time on it.
const (
	surveyKept    = time.Second
	surveysKeptIn = 16 // answers at a time, each of at most 1,000 accounts
)

// surveys are the answers of the last moment. Its methods are safe for concurrent use.
type surveys struct {
	turn chan struct{} // has a buffer of one; holds a value while a question is worked on

	mu   sync.Mutex
	kept map[any]keptSurvey // by what was asked
}

// keptSurvey is an answer, and since when it is kept.
type keptSurvey struct {
	answer any
	at     time.Time
}

func newSurveys() *surveys {
	return &surveys{turn: make(chan struct{}, 1), kept: make(map[any]keptSurvey)}
}

// survey answers a question, which must be comparable: as a moment ago, or else by asking. Where
// another one is worked on, it waits for its turn, with its context.
func survey[T any](ctx context.Context, s *surveys, question any, ask func() (T, error)) (T, error) {
	if answer, ok := s.find(question); ok {
		return answer.(T), nil
	}
	if err := s.takeTurn(ctx); err != nil {
		var none T
		return none, err
	}
	defer func() { <-s.turn }()
	if answer, ok := s.find(question); ok { // somebody has asked the same meanwhile
		return answer.(T), nil
	}
	answer, err := ask()
	if err == nil {
		s.keep(question, answer)
	}
	return answer, err
}

func (s *surveys) takeTurn(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *surveys) find(question any) (answer any, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, ok := s.kept[question]
	return kept.answer, ok && time.Since(kept.at) < surveyKept
}

func (s *surveys) keep(question, answer any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) >= surveysKeptIn {
		clear(s.kept)
	}
	s.kept[question] = keptSurvey{answer, time.Now()}
}
