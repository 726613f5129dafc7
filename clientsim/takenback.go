package clientsim

import (
	"context"
	"fmt"
	"math/big"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/proof/shadow"
)

// takenBack is shown a trade of the server's that the server then takes back: the row and the
// cash must be what they were before it. And it has both replayed to it, in their order.
func (t *trader) takenBack(ctx context.Context) error {
	if t.moments == nil {
		t.moments = make(map[uint64]moment)
	}
	for seen := 1; ; seen++ {
		if err := t.awaitCount(ctx, "trades taken back or corrected by the server", &t.tally.Busts, t.tally.Busts+1,
			becauseScript); err != nil {
			return err
		}
		if t.restored(t.seen[t.shadow.Seq()]) {
			break
		}
		if seen == bustsMax {
			return fmt.Errorf("of %d trades that were taken back or corrected, none was shown before and left "+
				"alone until then: expected one", seen)
		}
	}
	if _, err := t.list(ctx); err != nil {
		return err
	}
	if err := t.replayAll(ctx); err != nil {
		return err
	}
	t.moments, t.report.Covered = nil, true
	return nil
}

// restored says whether an event takes back a trade that was shown, and after which nothing
// happened to its row; it compares the row and the cash with those before the trade, for which
// it asks no ledger.
func (t *trader) restored(ev *client.Event) bool {
	if ev == nil || ev.Bust == nil {
		return false
	}
	b := ev.Bust
	seq := t.shadow.SeqOf(b.TradeID)
	shown, before := t.seen[seq], t.moments[seq]
	if b.Replacement != nil || len(b.Cascade) > 0 || len(ev.Positions) != 1 || before.rows == nil {
		return false
	}
	p := &ev.Positions[0]
	k := shadow.KeyOf(p.Market, p.Code)
	for other := seq + 1; other < ev.Seq; other++ {
		if _, touched := t.moments[other].rows[k]; touched {
			return false
		}
	}
	f := shadow.Findings{
		Account: t.account, Seq: ev.Seq, Where: "the row and the cash as they were before " + b.TradeID + ", ",
	}
	was := before.rows[k]
	f.Integer("quantity", was.Quantity, p.Quantity)
	f.Money("cost", big.NewInt(was.Cost), p.Cost)
	if was.Quantity > 0 {
		f.Money("realised", big.NewInt(was.Realised), p.Realised)
	}
	returned := big.NewInt(before.cash - int64(balanceOf(shown)))
	f.Money("cash", returned.Add(returned, big.NewInt(t.moments[ev.Seq].cash)), balanceOf(ev))
	t.wrong(f.List...)
	if len(f.List) == 0 {
		t.sayf("%s %d, cost %s, and the cash are what they were before %s", k, was.Quantity,
			market.FormatMoney(was.Cost),
			b.TradeID)
	}
	return true
}

// replayAll logs in a second time beside the first session, has everything replayed to it from the beginning, and sends
// an order twice: each session must see every event, once.
func (t *trader) replayAll(ctx context.Context) error {
	if _, err := t.list(ctx); err != nil { // as of now, there is a connection
		return err
	}
	second, err := client.Dial(ctx, t.cfg.Addr, client.Options{Account: t.account, Key: t.cfg.Key,
		Mode: client.ModeRestart, Name: missionName, Dial: new(link).dial, TLS: t.tls,
		AllowPlaintext: t.cfg.AllowPlaintext})
	if err != nil {
		return t.inSecond("log in", err)
	}
	defer func() { _ = second.Close() }() // never fails
	reply := second.LoginReply()
	switch {
	case reply.Mode != client.ModeRestart || reply.Resynced:
		t.wrongf("the second login asked for mode %v and got %v, resynced %v",
			papertapev1.ResumeMode(client.ModeRestart), papertapev1.ResumeMode(reply.Mode), reply.Resynced)
	case reply.Epoch != t.epoch:
		// The first session will see it, too.
		return fmt.Errorf("%w: the second session is of another history", client.ErrDisconnected)
	case reply.OldestSeq != 1:
		return fmt.Errorf("the server keeps the history of the account from seq %d on, and what is to be shown is "+
			"all of it, from seq 1: "+
			"play the mission on a server that is younger", reply.OldestSeq)
	}
	replayed := shadow.New(t.account)
	if err := t.followSecond(ctx, second, replayed, reply.HeadSeq); err != nil {
		return err
	}
	if err := t.orderTwice(ctx, second, replayed); err != nil {
		return err
	}
	t.sayf("a second session has had all of it replayed, from %d-1 to %d-%d, what was taken back and the taking "+
		"back in their places, and then "+
		"live events", t.account, t.account, reply.HeadSeq)
	return nil
}

// orderTwice sends an order twice in the second session, with one id, and takes its event in both.
func (t *trader) orderTwice(ctx context.Context, second *client.Client, replayed *shadow.Shadow) error {
	i := t.tools[0]
	o := &client.Order{
		Side: client.Buy, Market: i.Market, Code: i.Code, Quantity: lot, ClientOrderID: fmt.Sprintf("twice-%d",
			t.shadow.Seq()),
	}
	var answers [2]*client.Event
	for n := range answers {
		_, err := t.during(ctx, func(ctx context.Context) (err error) {
			answers[n], err = second.Order(ctx, *o)
			return err
		})
		if err != nil {
			return t.inSecond(orderText(o), err)
		}
	}
	if answers[0].Replay || !answers[1].Replay {
		t.wrongf("the order %q was sent twice and answered with REPLAY %v and %v: expected false and true",
			o.ClientOrderID, answers[0].Replay, answers[1].Replay)
	}
	t.wrong(shadow.CompareEvents(answers[0], answers[1])...)
	t.tally.Orders++
	t.checkExecution(o, answers[0])
	if err := t.followSecond(ctx, second, replayed, answers[0].Seq); err != nil {
		return err
	}
	return t.anew(t.catchUp(ctx, answers[0].Seq))
}

// followSecond takes what comes in a second session of the account, up to a sequence: what the
// first one sees, and nothing else.
func (t *trader) followSecond(ctx context.Context, second *client.Client, replayed *shadow.Shadow, seq uint64) error {
	for replayed.Seq() < seq {
		ev, err := second.Next(ctx)
		if err != nil {
			return t.inSecond(fmt.Sprintf("wait for seq %d", seq), err)
		}
		t.tally.Events++
		if ev.Replay {
			t.tally.Replayed++
		}
		if replay := ev.Seq <= second.LoginReply().HeadSeq; ev.Replay != replay {
			t.wrongf("seq %d came with REPLAY %v in the second session: expected %v, as its login's head_seq is %d",
				ev.Seq, ev.Replay, replay, second.LoginReply().HeadSeq)
		}
		t.wrong(replayed.Apply(ev)...)
		if seen := t.seen[ev.Seq]; seen != nil {
			t.wrong(shadow.CompareEvents(seen, ev)...)
		} else if ev.Seq > t.shadow.Seq() {
			t.seen[ev.Seq] = ev // the first session will see it
		}
	}
	return nil
}

// inSecond is an error of the second session. A connection that broke is one to begin anew for.
func (t *trader) inSecond(what string, err error) error {
	breach := t.breach(err)
	err = fmt.Errorf("in the second of two sessions, %s: %w", what, err)
	if !breach && curable(err) {
		return fmt.Errorf("%w: %w", client.ErrDisconnected, err)
	}
	return err
}
