package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/papertape/papertape/usertext"
)

// ErrClosed is returned by calls and by Next after Close.
var ErrClosed = errors.New("the client was closed")

// ErrInFlight is returned for a request when the maximum number of requests is under way.
var ErrInFlight = fmt.Errorf("%d requests wait for their answers: wait for some before asking more",
	inFlightRequestsMax)

// ErrDisconnected is returned by a request if the connection broke before its answer came.
var ErrDisconnected = errors.New("the connection broke before the answer came")

// ErrOutcomeUnknown matches every [OutcomeUnknownError] with errors.Is.
var ErrOutcomeUnknown = errors.New("the order may have been executed or not")

// ErrStateHash matches every [StateMismatch] with errors.Is.
var ErrStateHash = errors.New("the state differs from the server's")

// ErrGap matches every [GapError] with errors.Is.
var ErrGap = errors.New("the account's sequence is broken")

// Reject is a refusal by the server, either of one request or, before a GOODBYE, of the
// connection.
type Reject struct {
	Code       RejectCode
	Text       string        // a sentence for people: what is wrong and what would be right
	RetryAfter time.Duration // 0 if the server does not say
}

// Error returns the code and the server's sentence, made safe for a screen.
func (r *Reject) Error() string {
	return "refused, " + r.Code.String() + ": " + usertext.Shown(r.Text)
}

// Goodbye is the server's last message on a connection.
type Goodbye struct {
	Reason     GoodbyeReason
	Text       string
	RetryAfter time.Duration // 0 if the server does not say
}

// Error returns the reason and the server's sentence, made safe for a screen.
func (g *Goodbye) Error() string {
	return "the server said goodbye, " + g.Reason.String() + ": " + usertext.Shown(g.Text)
}

// GapError says that the stream did not continue with the event Last+1.
type GapError struct {
	Account uint64
	Last    uint64 // the last sequence that came
	Got     uint64 // the sequence that came instead of Last+1, or the newest one by the server's word
	Where   string // the message that revealed it: EVENT, EXECUTION, PING, PONG or HOLDINGS
}

// Error names the account and both sequences.
func (g *GapError) Error() string {
	if g.Repeat() {
		return fmt.Sprintf("account %d: %s of seq %d came after seq %d: a repeat, expected seq %d",
			g.Account, g.Where, g.Got, g.Last, g.Last+1)
	}
	return fmt.Sprintf("account %d: %s of seq %d came when seq %d was the last: events are missing from seq %d on",
		g.Account, g.Where, g.Got, g.Last, g.Last+1)
}

// Repeat reports whether the stream went back rather than forward.
func (g *GapError) Repeat() bool { return g.Got <= g.Last }

// Is matches [ErrGap].
func (g *GapError) Is(target error) bool { return target == ErrGap }

// OutcomeUnknownError says that an order was sent, that its answer did not come, and that the
// order could not be sent again. The account's events show the outcome: a trade with this
// ClientOrderID is the order's execution.
type OutcomeUnknownError struct {
	ClientOrderID string // empty if the order had none
	Err           error  // why there is no answer
}

// Error names the order.
func (o *OutcomeUnknownError) Error() string {
	return fmt.Sprintf("order %q: %v: %v", o.ClientOrderID, ErrOutcomeUnknown, o.Err)
}

// Is matches [ErrOutcomeUnknown].
func (o *OutcomeUnknownError) Is(target error) bool { return target == ErrOutcomeUnknown }

// Unwrap returns why there is no answer.
func (o *OutcomeUnknownError) Unwrap() error { return o.Err }

// StateMismatch says that the local state differs from the server's holdings as of the same
// sequence.
type StateMismatch struct {
	Account uint64
	Seq     uint64
	Local   uint64 // the hash of the local state
	Server  uint64 // the hash of the server's holdings
}

// Error names both hashes.
func (m *StateMismatch) Error() string {
	return fmt.Sprintf("account %d as of seq %d: %v: state hash %016x here, %016x there",
		m.Account, m.Seq, ErrStateHash, m.Local, m.Server)
}

// Is matches [ErrStateHash].
func (m *StateMismatch) Is(target error) bool { return target == ErrStateHash }

// ProtocolError says that the server violated the protocol, so that nothing it sends can be
// relied on any more.
type ProtocolError struct{ Text string }

// Error returns the sentence.
func (p *ProtocolError) Error() string { return "the server broke the protocol: " + p.Text }

func protocolErrorf(format string, args ...any) error {
	return &ProtocolError{Text: fmt.Sprintf(format, args...)}
}
