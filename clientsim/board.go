package clientsim

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/papertape/papertape/client"
)

// Progress says how far a swarm has come.
type Progress struct {
	Phase    Phase
	Clients  int           // in all
	Online   int           // logged in now
	Compared int           // that have compared their accounts with the server at the end
	Elapsed  time.Duration // of the trading so far
	Duration time.Duration // of the trading in all
	Events   int64
	Wrong    int64
}

// Phase is a phase of a swarm.
type Phase int32

// The phases in their order.
const (
	PhaseLogin Phase = iota
	PhaseTrade
	PhaseCompare
)

func (p Phase) String() string { return [...]string{"log in", "trade", "compare"}[p] }

const (
	boardInterval = 500 * time.Millisecond // between two readings of the board
	stillAway     = 10 * time.Second       // between two notices that clients are away
)

// board holds what all clients of a swarm count. It reports in a few lines what happens to
// their connections, however many they are.
type board struct {
	clients  int
	notice   func(format string, args ...any)
	progress func(Progress) // may be nil

	phase                            atomic.Int32
	started                          atomic.Pointer[time.Time] // when the trading began
	duration                         time.Duration
	online, events, wrongs, compared atomic.Int64
	resumes, resyncs, missed         atomic.Int64
	cause                            atomic.Pointer[string] // why the last lost connection ended
}

func (b *board) connected(up *client.Connected) {
	switch {
	case up.Resumed:
		b.missed.Add(int64(up.Missed)) //nolint:gosec // a sequence does not come near 2^63
		b.resumes.Add(1)
	case up.Resynced:
		b.resyncs.Add(1)
	}
	b.online.Add(1)
}

func (b *board) disconnected(err error) {
	cause := err.Error()
	b.cause.Store(&cause)
	b.online.Add(-1)
}

func (b *board) event() { b.events.Add(1) }
func (b *board) wrong() { b.wrongs.Add(1) }

// begin marks the beginning of the trading.
func (b *board) begin() {
	now := time.Now()
	b.started.Store(&now)
	b.phase.Store(int32(PhaseTrade))
}

// watch reads the board at intervals until the returned function is called, and then once more.
func (b *board) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(boardInterval)
		defer tick.Stop()
		var l lookout
		for {
			select {
			case now := <-tick.C:
				b.look(&l, now)
			case <-ctx.Done():
				b.look(&l, time.Now())
				return
			}
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

// lookout is the state of what the board has reported.
type lookout struct {
	away                     bool // whether clients are away
	since, noticed           time.Time
	resumes, resyncs, missed int64 // as of the last time that all were connected
}

func (b *board) look(l *lookout, now time.Time) {
	if b.progress != nil {
		b.progress(b.read(now))
	}
	if b.started.Load() == nil {
		return
	}
	away := int64(b.clients) - b.online.Load()
	resumes, resyncs, missed := b.resumes.Load(), b.resyncs.Load(), b.missed.Load()
	switch {
	case away > 0 && !l.away:
		l.away, l.since, l.noticed = true, now, now
		b.notice("%d of %d clients have lost their connection: %s", away, b.clients, *b.cause.Load())
	case away > 0 && now.Sub(l.noticed) >= stillAway:
		l.noticed = now
		b.notice("%d of %d clients are away since %.0f s", away, b.clients, now.Sub(l.since).Seconds())
	case away == 0 && resumes+resyncs > l.resumes+l.resyncs:
		text := fmt.Sprintf("all %d clients are connected again", b.clients)
		if n := resumes - l.resumes; n > 0 {
			text += fmt.Sprintf("; %d resumed, having missed %d events, which followed", n, missed-l.missed)
		}
		if n := resyncs - l.resyncs; n > 0 {
			text += fmt.Sprintf("; %d began anew from a snapshot, as the server has a new history", n)
		}
		b.notice("%s", text)
		*l = lookout{resumes: resumes, resyncs: resyncs, missed: missed}
	}
}

func (b *board) read(now time.Time) Progress {
	p := Progress{
		Phase: Phase(b.phase.Load()), Clients: b.clients, Online: int(b.online.Load()),
		Compared: int(b.compared.Load()),
		Duration: b.duration, Events: b.events.Load(), Wrong: b.wrongs.Load(),
	}
	if started := b.started.Load(); started != nil {
		p.Elapsed = min(now.Sub(*started), b.duration)
	}
	return p
}
