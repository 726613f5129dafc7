package truth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
	runner "github.com/papertape/papertape/proof/process"
	"github.com/papertape/papertape/proof/shadow"
)

const compareTimeout = 30 * time.Second // for one account

// compare checks a client's belief against the server: against its console, and against a new
// client that reads everything.
func (r *run) compare(ctx context.Context, s *runner.Server, c *console.Client, b *belief) error {
	h, err := c.Holdings(ctx, b.Account)
	if err != nil {
		return fmt.Errorf("holdings at the end: %w", err)
	}
	r.report.Compared++
	if h.AsOfSeq != b.Seq || uint64(h.StateHash) != b.Hash {
		r.report.fail("account %d: the client's state is of event %d with hash %016x, and the server's of "+
			"event %d with hash %s",
			b.Account, b.Seq, b.Hash, h.AsOfSeq, h.StateHash)
	}
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	fresh, err := client.Dial(ctx, s.Listen(), client.Options{Account: b.Account, Mode: client.ModeRestart,
		Name: "truth", TLS: r.Sealed.Client()})
	if err != nil {
		return fmt.Errorf("read everything again: %w", err)
	}
	defer fresh.Close() //nolint:errcheck // all was read
	computed, again := shadow.New(b.Account), note{First: b.Note.First}
	for seq := uint64(0); seq < fresh.LoginReply().HeadSeq; {
		ev, err := fresh.Next(ctx)
		if err != nil {
			r.report.fail("account %d: a client that reads everything has come to event %d of %d: %v", b.Account, seq,
				fresh.LoginReply().HeadSeq, err)
			return nil
		}
		if seq = ev.Seq; seq > again.First && seq <= b.Note.Last {
			again.add(ev)
			r.report.Digested++
		}
		r.report.Shadowed++
		for _, finding := range computed.Apply(ev) {
			r.report.fail("%s", finding)
		}
	}
	if again.Last == 0 {
		again.Last = again.First
	}
	if again != b.Note || b.Note.Last != b.Seq {
		r.report.fail("account %d: the client counted events %d to %d with digest %016x, and the server has %d "+
			"to %d with digest %016x",
			b.Account, b.Note.First+1, b.Note.Last, b.Note.Digest, again.First+1, again.Last, again.Digest)
	}
	list, err := fresh.Holdings(ctx)
	if err != nil {
		return fmt.Errorf("holdings at the end: %w", err)
	}
	for _, finding := range computed.CheckHoldings(list) {
		r.report.fail("%s", finding)
	}
	return nil
}

// desk is an operator who takes trades back on whichever server is current.
type desk struct {
	run                *run
	rng                *rand.Rand
	busts, corrections int
}

const (
	deskPauseMax = 60 * time.Millisecond
	deskTimeout  = 10 * time.Second
)

func newDesk(r *run) *desk { return &desk{run: r, rng: rand.New(rand.NewPCG(r.Seed, 41))} }

// work takes trades back until ctx ends. It waits for the answer to its last request: the server would
// carry it out even if nobody waited, and perhaps only after the clients were asked for their state. A
// request without an answer, because the server is killed, is not repeated.
func (d *desk) work(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		if s := d.run.current(); s != nil {
			answered := context.WithoutCancel(ctx)
			d.takeBack(answered, console.NewClient(s.Admin(), ""), fmt.Sprintf("truth-%d-%d", d.run.Seed, n))
		}
		select {
		case <-time.After(time.Duration(d.rng.Int64N(int64(deskPauseMax)))):
		case <-ctx.Done():
		}
	}
}

// takeBack busts or corrects one of the newest trades of an account.
func (d *desk) takeBack(ctx context.Context, c *console.Client, id string) {
	ctx, cancel := context.WithTimeout(ctx, deskTimeout)
	defer cancel()
	h, err := c.History(ctx, uint64(firstAccount+d.rng.IntN(crews*accountsEach)), 0, 20)
	if err != nil || len(h.Events) == 0 {
		return
	}
	t := h.Events[d.rng.IntN(len(h.Events))].Trade
	if t == nil {
		return
	}
	r := console.BustRequest{Trade: t.ID, Reason: "torture", BustID: id,
		Policy: [...]string{"", "cascade"}[d.rng.IntN(2)]}
	if d.rng.IntN(3) > 0 {
		if _, err = c.Bust(ctx, r); err == nil {
			d.busts++
		}
		return
	}
	corrected := console.CorrectionRequest{BustRequest: r, Price: t.Price + console.Money(1+d.rng.IntN(100)),
		Quantity: max(1, t.Quantity-1)}
	if _, err = c.Correct(ctx, corrected); err == nil {
		d.corrections++
	}
}
