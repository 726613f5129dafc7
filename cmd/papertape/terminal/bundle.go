package terminal

import (
	"context"
	"slices"
	"strings"
)

// runBundle executes a line of several commands, which a paste of several lines becomes. It works
// like a script: all commands are parsed before the first begins, each is answered before the next
// is sent, and the first failure ends it.
func (s *session) runBundle(ctx context.Context, lines []string) error {
	var commands []*command
	s.bundles++
	for i, line := range lines {
		cmd, err := s.words.parse(line)
		if err != nil {
			s.complain(s.words.sentenceError(keyNoneBegun, s.words.lineError(i+1, line, true, err).Error()))
			return nil
		}
		if cmd != nil {
			cmd.number, cmd.bundle = i+1, s.bundles
			commands = append(commands, cmd)
		}
	}
	switch {
	case len(commands) > bundleMax:
		s.complain(s.words.sentenceError(keyNoneBegun, s.words.say(keyTooMany, len(commands), bundleMax)))
		return nil
	case len(s.waiting) >= waitingMax:
		s.data(s.words.say(keyQueueFull, len(s.waiting), strings.Join(lines, lineBreak)))
		return nil
	}
	s.waiting = append(s.waiting, commands...)
	return s.next(ctx)
}

// dropRest drops the remaining commands of a line after one of them has failed, and says so.
func (s *session) dropRest(of int) {
	before := len(s.waiting)
	s.waiting = slices.DeleteFunc(s.waiting, func(c *command) bool { return of != 0 && c.bundle == of })
	if dropped := before - len(s.waiting); dropped > 0 {
		s.data(s.words.say(keyRestDropped, dropped))
	}
}
