//go:build linux

package soak

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/proof/shadow"
)

// livePeer returns a logged-in client of account 100001, with a shadow as of sequence 4 and no
// rows.
func livePeer() *peer {
	t := newTally()
	p := newPeer(nil, t, 0, 0, &Config{Accounts: 1})
	p.shadow, _ = shadow.FromHoldings(&client.Holdings{Account: 100001, AsOfSeq: 4, Cash: &client.Cash{Balance: 1e9}})
	p.conn, p.welcomed, p.live, p.replayTo = new(conn), true, true, 4
	return p
}

// deposit returns an event that only adds 1 to the balance.
func deposit(seq uint64) *papertapev1.AccountEvent {
	return &papertapev1.AccountEvent{
		Account: 100001, Seq: seq, Time: time.Now().UnixNano(), Cash: &papertapev1.Cash{Balance: 1e9 + int64(seq) - 4},
		What: &papertapev1.AccountEvent_Adjustment{Adjustment: &papertapev1.Adjustment{Cash: 1, Reason: "test",
			Actor: "test"}},
	}
}

// TestLagWhenTheClockIsSet: if the clock was set while an event was on its way, the event seems
// older or younger than is possible. It is not measured.
func TestLagWhenTheClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, time.Hour} {
		p := livePeer()
		p.tally.timed = true
		event := func(seq uint64) {
			payload, err := deposit(seq).MarshalVT()
			if err != nil {
				t.Fatal(err)
			}
			if err := p.handle(frame{kind: typeEvent, payload: payload}); err != nil {
				t.Fatal(err)
			}
		}
		event(5)
		// instead of setting the machine's clock: the difference between it and the time passed is
		// changed
		p.tally.began = p.tally.began.Add(-by)
		event(6)
		if got := p.tally; len(got.lags) != 1 || got.findings != 0 || got.lags[0] < 0 || got.lags[0] > time.Minute {
			t.Errorf("set by %v: lags %v, findings %v", by, got.lags, got.sentences)
		}
	}
}

// TestClientNotices feeds a client what a broken server would send. The client must report all of
// it.
func TestClientNotices(t *testing.T) {
	event := func(seq uint64) []byte { return appendFrame(nil, typeEvent, 0, 0, deposit(seq)) }
	held := func(h *papertapev1.Holdings) []byte { return appendFrame(nil, typeHeld, flagReply, 9, h) }
	for name, c := range map[string]struct {
		frames []byte
		want   string // gap, repeat or finding, or a word of the first sentence
	}{
		"nothing wrong": {slices.Concat(event(5), event(6)), ""},
		"a gap":         {slices.Concat(event(5), event(7)), "gap"},
		"a repeat":      {slices.Concat(event(5), event(5)), "repeat"},
		"a silent loss": {slices.Concat(event(5), appendFrame(nil, typePong, flagReply, 9,
			&papertapev1.Pong{HeadSeq: 6})), "newest"},
		"a replay too late": {appendFrame(nil, typeEvent, flagReplay, 0, deposit(5)), "REPLAY"},
		"other holdings": {held(&papertapev1.Holdings{Account: 100001, AsOfSeq: 4,
			Cash: &papertapev1.Cash{Balance: 1e9 - 1}}), "state_hash"},
		"not asked":          {appendFrame(nil, typeSubscribed, flagReply, 8, none{}), "not asked"},
		"a second WELCOME":   {appendFrame(nil, typeWelcome, 0, 0, none{}), "first frame"},
		"an unknown message": {appendFrame(nil, 77, 0, 0, none{}), "type 77"},
		"no frame":           {make([]byte, headerBytes), "length"},
	} {
		t.Run(name, func(t *testing.T) {
			p := livePeer()
			p.conn.fd = -1
			p.asked[9] = request{kind: typeHoldings}
			for i := range c.frames { // in pieces of the worst size
				if p.conn != nil {
					p.received(c.frames[i : i+1])
				}
			}
			got := p.tally
			switch found := strings.Join(got.sentences, "\n"); c.want {
			case "":
				if got.gaps+got.repeats+got.findings != 0 || got.events != 2 || p.shadow.Seq() != 6 {
					t.Errorf("%d gaps, %d repeats, %d events, at %d: %s", got.gaps, got.repeats, got.events,
						p.shadow.Seq(), found)
				}
			case "gap":
				if got.gaps != 1 || got.repeats != 0 {
					t.Errorf("%d gaps, %d repeats", got.gaps, got.repeats)
				}
			case "repeat":
				if got.gaps != 0 || got.repeats != 1 || p.shadow.Seq() != 5 {
					t.Errorf("%d gaps, %d repeats, at %d", got.gaps, got.repeats, p.shadow.Seq())
				}
			default:
				if !strings.Contains(found, c.want) {
					t.Errorf("found %q, want a sentence about %q", found, c.want)
				}
			}
			r := new(Report)
			if got.judge(r); r.OK() != (c.want == "") {
				t.Errorf("the report is OK: %v", r.OK())
			}
		})
	}
}

// TestEndedForNothing: the server ends the connection of a client that behaved, of one that did
// not, and of a slow one.
func TestEndedForNothing(t *testing.T) {
	for name, c := range map[string]struct {
		culprit bool
		bye     papertapev1.GoodbyeReason
		want    int
	}{
		"behaved": {false, papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL, 1},
		"silent":  {false, 0, 1},
		"culprit": {true, papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL, 0},
		"slow":    {false, papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := livePeer()
			p.loop, p.bye = new(loop), c.bye
			w := &wanderer{peer: p, culprit: c.culprit}
			p.onEnd = w.thrownOut
			p.ended(io.EOF)
			if p.tally.findings != c.want {
				t.Errorf("%d findings, want %d: %q", p.tally.findings, c.want, p.tally.sentences)
			}
			if len(p.loop.timers) != 1 {
				t.Errorf("it comes back %d times, want once", len(p.loop.timers))
			}
		})
	}
}

func TestStatistics(t *testing.T) {
	d := []time.Duration{5, 1, 4, 2, 3}
	if p := percentile(d, 0.99); p != 5 {
		t.Errorf("p99 of 1 to 5 is %d", p)
	}
	if p := percentile(d, 0.5); p != 3 {
		t.Errorf("the median of 1 to 5 is %d", p)
	}
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("the median of 1 to 4 is %v", m)
	}
}

// TestDealer: each deed is dealt once before any is repeated, then by weight; what was returned is
// dealt again.
func TestDealer(t *testing.T) {
	for seed := range uint64(20) {
		d := newDealer(seed)
		var first, second [deeds]int
		for range deeds {
			first[d.next()]++
		}
		if first != [deeds]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1} {
			t.Errorf("seed %d deals %v first", seed, first)
		}
		d.back(deedStall)
		if d.next() != deedStall {
			t.Errorf("seed %d does not deal again what came back", seed)
		}
		for range 100 {
			second[d.next()]++
		}
		if second != weights {
			t.Errorf("seed %d deals %v then, want %v", seed, second, weights)
		}
	}
}

// TestAttackersThatCannotConnect: attackers that cannot connect have attacked nobody.
func TestAttackersThatCannotConnect(t *testing.T) {
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	r, count := &run{Config: Config{Addresses: 2}, port: 1}, new(attackCount) // where nobody listens
	for n := range 6 {
		if !r.attacker(l, count, rand.New(rand.NewPCG(1, 1)), n) {
			count.failed++
		}
	}
	err = l.until(t.Context(), 20*time.Second, "connecting", func() bool { return count.failed+count.ended == 6 })
	if err != nil || count.failed != 6 {
		t.Errorf("%+v, %v: want six that failed", *count, err)
	}
}

// TestLacking: a soak in which nothing occurred says what was missing.
func TestLacking(t *testing.T) {
	r := &run{tally: newTally(), report: new(Report)}
	if r.showSoak(); r.report.OK() || !strings.Contains(r.report.Failures[0],
		"no orders one by one, no bursts of orders,") {
		t.Errorf("it says %q", r.report.Failures)
	}
	for deed := range r.did {
		r.did[deed] = 1
	}
	r.tally.events, r.tally.executions, r.tally.resumed, r.tally.replayed = 1, 1, 1, 0
	if lacking := r.notSeen(); !slices.Equal(lacking, []string{"events replayed"}) {
		t.Errorf("it lacks %q", lacking)
	}
}
