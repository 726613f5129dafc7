package clientsim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/proof/shadow"
)

// user is a simulated user: an account kept by the client library, and a shadow that trusts
// nothing that comes. Only one goroutine uses it, which takes the updates even while a request
// of its own is under way.
type user struct {
	// Constant after open.
	account uint64
	keep    int         // how many of the newest events to keep for comparison; 0 means all
	link    *link       // makes its connections
	tls     *tls.Config // nil: they are not encrypted
	key     *client.Key // nil: none
	// permits a key without TLS beyond this machine
	allowPlaintext bool
	onProgress     func(text string) // called with everything that the user sees; may be nil
	onNotice       func(text string) // called with the account and what happens to its connections; may be nil
	observer       observer          // counts over all users of a swarm; may be nil

	acc    *client.Account
	tally  *Tally
	shadow *shadow.Shadow
	seen   map[uint64]*client.Event // events that came or were read from the history, by sequence

	epoch    uint64 // of the server's history
	instance uint64 // of the server; 0 if it does not say
	head     uint64 // the account's newest sequence at the login of the current connection
	missed   uint64 // how many events were missed before that login
	online   bool
	emptied  bool // whether the list was seen empty since this was last cleared

	moments map[uint64]moment // the account before each event, by sequence; nil if not kept

	since     []*client.Event // events that came since the last request began
	recording bool            // whether since is kept
}

// moment is the account before an event: its cash, and the rows that the event touched.
type moment struct {
	cash int64
	rows map[shadow.Key]shadow.Row
}

// observer counts over all users. Many goroutines call its methods.
type observer interface {
	connected(up *client.Connected)
	disconnected(err error)
	event()
	wrong()
}

// open logs in and starts the shadow with the list that comes.
func (u *user) open(ctx context.Context, addr, name string) error {
	acc, err := client.Open(ctx, addr, client.AccountOptions{
		Account: u.account, Name: name, Dial: u.link.dial, Key: u.key, TLS: u.tls,
		AllowPlaintext: u.allowPlaintext, BackoffMax: backoffMax,
	})
	if err != nil {
		u.link.loggedIn()
		return err
	}
	u.acc = acc
	for !u.online {
		if err := u.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// backoffMax bounds how long a user waits between attempts to reconnect. The gate spreads a
// crowd.
const backoffMax = 3 * time.Second

// openWithin logs in to a server that may not be there yet, or may be full for the moment.
func (u *user) openWithin(
	ctx context.Context, addr, name string, wait time.Duration, notice func(string, ...any),
) error {
	deadline := time.Now().Add(wait)
	for told := false; ; told = true {
		err := u.open(ctx, addr, name)
		left := time.Until(deadline)
		if err == nil || left <= 0 || ctx.Err() != nil || !curable(err) {
			return err
		}
		if !told && notice != nil {
			notice("no server answers yet, waiting up to %v: %v", wait, err)
		}
		pause := retryPause(err)
		select {
		case <-time.After(min(left, pause+rand.N(4*pause))):
		case <-ctx.Done():
		}
	}
}

// curable reports whether a login that failed with err may succeed later, because no server
// answered or the server is full or starting.
func curable(err error) bool {
	var reject *client.Reject
	var breach *client.ProtocolError
	return refusedForNow(err) || !errors.As(err, &reject) && !errors.As(err, &breach) &&
		!errors.Is(err, client.ErrStateHash)
}

func (u *user) close() {
	if u.acc != nil {
		_ = u.acc.Close() // the connection ends either way
	}
}

// next takes one update. The error is ctx's, or what ends the user: the account cannot be kept,
// or the server has broken the sequence or the protocol, so that nothing can be relied on any
// more.
func (u *user) next(ctx context.Context) error {
	up, err := u.acc.Next(ctx)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return err
		}
		u.breach(err)
		return fmt.Errorf("the account cannot be kept: %w", err)
	}
	switch up := up.(type) {
	case *client.Event:
		u.takeEvent(up)
	case *client.Connected:
		u.takeConnected(up)
	case *client.Disconnected:
		return u.takeDisconnected(up)
	}
	return nil
}

func (u *user) takeEvent(ev *client.Event) {
	t := u.tally
	t.Events++
	if u.observer != nil {
		u.observer.event()
	}
	if ev.Replay {
		t.Replayed++
	}
	switch {
	case ev.Bust != nil:
		t.Operator++
		t.Busts++
	case tradeOf(ev).Origin == client.OriginOperator:
		t.Operator++
	case ev.Adjustment != nil:
		t.Adjustments++
	case ev.Reset != nil:
		t.Resets++
	case tradeOf(ev).Origin == client.OriginSimulator:
		t.Pushed++
	default:
		t.Executions++
	}
	if seq := ev.Seq; seq > u.shadow.Seq()+1 {
		t.Gaps++
	} else if seq <= u.shadow.Seq() {
		t.Repeats++
	}
	if replayed := ev.Seq <= u.head; ev.Replay != replayed {
		u.wrongf("seq %d came with REPLAY %v: expected %v, as the login's head_seq is %d", ev.Seq, ev.Replay,
			replayed, u.head)
	}
	u.announce(ev)
	u.wrong(u.shadow.Apply(ev)...)
	if before := u.seen[ev.Seq]; before != nil {
		u.wrong(shadow.CompareEvents(before, ev)...)
	}
	u.remember(ev)
	if u.recording {
		u.since = append(u.since, ev)
	}
	if u.shadow.Len() == 0 {
		u.emptied = true
	}
}

// announce describes an event before it is applied to the shadow. Trades taken back are also
// reported to those who are told only of connections.
func (u *user) announce(ev *client.Event) {
	if u.moments != nil {
		m := moment{cash: u.shadow.Balance(), rows: make(map[shadow.Key]shadow.Row)}
		for _, p := range ev.Positions {
			k := shadow.KeyOf(p.Market, p.Code)
			m.rows[k] = u.shadow.RowOf(k)
		}
		u.moments[ev.Seq] = m
	}
	switch {
	case u.onProgress != nil: // only then, as it makes a sentence for each event
		u.onProgress(eventText(ev, u.shadow))
	case u.onNotice != nil && ev.Bust != nil:
		u.notice("%s", eventText(ev, u.shadow))
	}
}

// remember keeps an event for comparison with the same one if it comes again.
func (u *user) remember(ev *client.Event) {
	u.seen[ev.Seq] = ev
	if u.keep > 0 {
		delete(u.seen, ev.Seq-uint64(u.keep))
	}
}

func (u *user) takeConnected(up *client.Connected) {
	u.link.loggedIn()
	t := u.tally
	t.Logins++
	if u.restarted(up) {
		t.Restarts++
	}
	switch {
	case u.shadow == nil:
		u.begin(up)
	case up.Resumed:
		u.resume(up)
	case up.Resynced:
		u.resync(up)
	default:
		u.wrongf("the connection with uid %d neither resumed nor began anew", up.UID)
	}
	u.instance = up.Instance
	u.epoch, u.head, u.missed, u.online = up.Epoch, up.HeadSeq, up.Missed, true
	if u.observer != nil {
		u.observer.connected(up)
	}
}

// restarted reports whether the server was restarted since the last login.
func (u *user) restarted(up *client.Connected) bool {
	return u.instance != 0 && up.Instance != u.instance
}

// restartedText returns what to add about a restart to the report of a connection that is back.
func (u *user) restartedText(up *client.Connected) string {
	if u.restarted(up) {
		return "; the server was restarted meanwhile"
	}
	return ""
}

// begin handles the first login.
func (u *user) begin(up *client.Connected) {
	u.restart(up.After)
	if up.Epoch == 0 {
		u.wrongf("the login names epoch 0: expected another number")
	}
	if up.HeadSeq != u.shadow.Seq() {
		u.wrongf("the list is as of seq %d and the login's head_seq is %d: expected the same", u.shadow.Seq(),
			up.HeadSeq)
	}
	u.sayf("%s", listText(holdingsOf(up.After)))
}

// resume handles a login that continues after the last event.
func (u *user) resume(up *client.Connected) {
	u.tally.Reconnects++
	u.tally.Resumes++
	u.tally.Missed += up.Missed
	u.tally.away(up.Away)
	if up.Epoch != u.epoch {
		u.wrongf("resumed after seq %d in epoch %#x: that sequence is of epoch %#x", u.shadow.Seq(), up.Epoch, u.epoch)
	}
	if up.HeadSeq < u.shadow.Seq() || up.Missed != up.HeadSeq-u.shadow.Seq() {
		u.wrongf("resumed after seq %d with head_seq %d and %d events missed", u.shadow.Seq(), up.HeadSeq, up.Missed)
	}
	missed := "nothing was missed"
	if up.Missed > 0 {
		missed = fmt.Sprintf("%d events were missed and follow now", up.Missed)
	}
	u.notice("back after %.1f s (%d attempt(s)): resumed after seq %d; %s%s", up.Away.Seconds(), up.Attempts,
		u.shadow.Seq(), missed, u.restartedText(up))
}

// resync handles a login that begins anew from a snapshot; the shadow begins anew as well. That
// is right if the server has begun a new history, as one without a durable journal does when it
// starts. In the same history it means that events were lost.
func (u *user) resync(up *client.Connected) {
	u.tally.Reconnects++
	u.tally.Resyncs++
	u.tally.away(up.Away)
	if up.Epoch == u.epoch {
		u.tally.Gaps++
		u.wrongf("could not resume after seq %d in the same epoch %#x: %d events were skipped", u.shadow.Seq(),
			up.Epoch, up.Missed)
	}
	before, rows := u.shadow.Seq(), u.shadow.Len()
	u.restart(up.After)
	u.notice("back after %.1f s (%d attempt(s)): the server has begun a new history, so that nothing can be "+
		"resumed; %d rows as of seq %d were "+
		"replaced by its list of %d rows as of seq %d%s", up.Away.Seconds(), up.Attempts, rows, before,
		u.shadow.Len(), u.shadow.Seq(), u.restartedText(up))
}

// restart starts the shadow from a snapshot.
func (u *user) restart(s *client.State) {
	var found []string
	u.shadow, found = shadow.FromHoldings(holdingsOf(s))
	u.wrong(found...)
	if s.Epoch != u.epoch {
		u.seen = make(map[uint64]*client.Event)
		clear(u.moments)
	}
	u.shadow.Keep(u.keep)
	u.since = nil
	u.emptied = u.shadow.Len() == 0
	u.tally.Lists++
}

// holdingsOf returns a state as a list, for the same checks. The hash is the client library's,
// while a list that is pulled has the server's.
func holdingsOf(s *client.State) *client.Holdings {
	return &client.Holdings{
		Account: s.Account, AsOfSeq: s.Seq, Positions: s.Positions, TotalMarketValue: s.TotalMarketValue, Cash: &s.Cash,
		StateHash: s.Hash(),
	}
}

func (u *user) takeDisconnected(up *client.Disconnected) error {
	if u.online {
		u.online = false
		u.notice("the connection is gone after seq %d: %v", u.shadow.Seq(), up.Err)
		if u.observer != nil {
			u.observer.disconnected(up.Err)
		}
	} else {
		u.sayf("still away: %v", up.Err)
	}
	if u.breach(up.Err) {
		return up.Err
	}
	return nil
}

// breach reports whether the end of a connection is the server's fault: a gap, a repeat, a
// breach of the protocol, or a state that differs. It counts the first two.
func (u *user) breach(err error) bool {
	var gap *client.GapError
	var breach *client.ProtocolError
	switch {
	case errors.As(err, &gap) && gap.Repeat():
		u.tally.Repeats++
	case errors.As(err, &gap):
		u.tally.Gaps++
	default:
		return errors.As(err, &breach) || errors.Is(err, client.ErrStateHash)
	}
	return true
}

func (u *user) wrong(sentences ...string) {
	for _, s := range sentences {
		u.tally.wrong(s)
		if u.observer != nil {
			u.observer.wrong()
		}
		u.sayf("WRONG: %s", s)
	}
}

func (u *user) wrongf(format string, args ...any) {
	u.wrong(fmt.Sprintf("account %d: ", u.account) + fmt.Sprintf(format, args...))
}

func (u *user) sayf(format string, args ...any) {
	if u.onProgress != nil {
		u.onProgress(fmt.Sprintf(format, args...))
	}
}

func (u *user) notice(format string, args ...any) {
	u.sayf(format, args...)
	if u.onNotice != nil {
		u.onNotice(fmt.Sprintf("account %d: ", u.account) + fmt.Sprintf(format, args...))
	}
}
