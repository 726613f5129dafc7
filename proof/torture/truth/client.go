package truth

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/proof/shadow"
)

const (
	backoffLeast, backoffMost = 20 * time.Millisecond, 400 * time.Millisecond
	orderPauseMax             = 80 * time.Millisecond
	orderPatience             = 10 * time.Second
	saveOneIn                 = 24 // events
	tellEvery                 = 200 * time.Millisecond
	restTimeout               = time.Minute // to come to rest at the end
	finishLine                = "finish"
)

// instrumentsTraded are the instruments of the orders.
var instrumentsTraded = [...][2]string{{"SZ", "000001"}, {"SH", "601398"}, {"SH", "600036"}, {"SZ", "000858"}}

// ClientConfig describes one process of clients.
type ClientConfig struct {
	Server   string      // the server's address, or that of a proxy
	TLS      *tls.Config // nil: none
	Dir      string      // for the cursor files
	Accounts []uint64
	Seed     uint64
}

// Counts are what clients have seen since their last report.
type Counts struct {
	Events      int `json:"events"`
	Connections int `json:"connections"`
	Resumed     int `json:"resumed"`
	Missed      int `json:"missed"` // events that came after a resume
	Orders      int `json:"orders"` // answered
	Unanswered  int `json:"unanswered"`
}

func (c *Counts) add(o *Counts) {
	c.Events += o.Events
	c.Connections += o.Connections
	c.Resumed += o.Resumed
	c.Missed += o.Missed
	c.Orders += o.Orders
	c.Unanswered += o.Unanswered
}

// belief is the final state of an account according to its client.
type belief struct {
	Account uint64 `json:"account"`
	Seq     uint64 `json:"seq"`
	Hash    uint64 `json:"hash"`
	Note    note   `json:"note"`
}

// note is what a client keeps beside the state: a digest of all events in order.
type note struct {
	First  uint64 `json:"first"` // the sequence before the first event
	Last   uint64 `json:"last"`
	Digest uint64 `json:"digest"`
}

// add adds the next event to the digest.
func (n *note) add(ev *client.Event) {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d ", n.Digest)
	_, _ = h.Write(shadow.EventBytes(ev))
	n.Last, n.Digest = ev.Seq, h.Sum64()
}

// processReport is a line of a process's output. One of its fields is set.
type processReport struct {
	// the process handles signals and reads its input; said once, before anything else
	Up      bool     `json:"up,omitempty"`
	Counts  *Counts  `json:"counts,omitempty"`
	Failure string   `json:"failure,omitempty"`
	Beliefs []belief `json:"beliefs,omitempty"`
}

// process has the clients of one process.
type process struct {
	ClientConfig
	mu     sync.Mutex
	out    *json.Encoder
	counts Counts
}

// Client follows accounts, and places orders for them, until ctx ends; then it saves their notes.
// Its caller makes a signal to the process end ctx, because the first thing that Client reports is
// that it is up. When in says "finish", Client stops ordering, comes to rest, and reports what it
// believes. It ends with in, so that no process survives a run that was killed.
func Client(ctx context.Context, cfg ClientConfig, in io.Reader, out io.Writer) error {
	p := &process{ClientConfig: cfg, out: json.NewEncoder(out)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	finish := make(chan struct{})
	go func() { // ends with in, which is the process's own
		lines := bufio.NewScanner(in)
		if lines.Scan() && lines.Text() == finishLine {
			close(finish)
		}
		for lines.Scan() {
		}
		cancel()
	}()
	p.tell(processReport{Up: true})
	beliefs := make([]belief, len(cfg.Accounts))
	var followers, teller sync.WaitGroup
	for i, account := range cfg.Accounts {
		followers.Go(func() {
			b, err := p.follow(ctx, account, rand.New(rand.NewPCG(cfg.Seed, account)), finish)
			if err != nil && ctx.Err() == nil {
				p.fail("account %d: %v", account, err)
			}
			beliefs[i] = b
		})
	}
	over := make(chan struct{})
	teller.Go(func() { p.tellCounts(over) })
	followers.Wait()
	close(over)
	teller.Wait()
	if ctx.Err() != nil {
		return nil // it was told to stop
	}
	p.tell(processReport{Beliefs: beliefs})
	return nil
}

func (p *process) tell(t processReport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.out.Encode(t) // if the reader has gone, this process goes soon too
}

func (p *process) fail(format string, args ...any) {
	p.tell(processReport{Failure: fmt.Sprintf(format, args...)})
}

func (p *process) count(f func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.counts)
}

func (p *process) tellCounts(over chan struct{}) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for more := true; more; {
		select {
		case <-tick.C:
		case <-over:
			more = false
		}
		p.mu.Lock()
		counts := p.counts
		p.counts = Counts{}
		p.mu.Unlock()
		p.tell(processReport{Counts: &counts})
	}
}

// follower is one account of a process.
type follower struct {
	*process
	account *client.Account
	number  uint64
	rng     *rand.Rand
	known   bool // note has begun
	note    note
}

func (p *process) follow(ctx context.Context, number uint64, rng *rand.Rand, finish chan struct{}) (b belief,
	err error) {
	a, err := client.Open(ctx, p.Server, client.AccountOptions{
		Account: number, Name: "truth", Cursor: filepath.Join(p.Dir, fmt.Sprintf("%d.cursor", number)), Wait: true,
		TLS:        p.TLS,
		BackoffMin: backoffLeast, BackoffMax: backoffMost,
	})
	if err != nil {
		return b, err
	}
	f := &follower{process: p, account: a, number: number, rng: rng}
	if err := f.begin(); err != nil {
		return b, errors.Join(err, a.Close())
	}
	reading, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- f.read(reading) }() // waited for below
	ordering, quiet := context.WithCancel(ctx)
	var orders sync.WaitGroup
	orders.Go(func() { f.order(ordering, rand.New(rand.NewPCG(p.Seed, number<<1))) })
	select {
	case <-finish:
		quiet()
		orders.Wait()
		b, err = f.rest(ctx)
	case err = <-ended:
		ended <- err
	case <-ctx.Done():
	}
	quiet()
	orders.Wait()
	stop()
	if failed := <-ended; err == nil && !errors.Is(failed, context.Canceled) {
		err = failed
	}
	if err == nil && f.known { // like a client that is told to stop
		err = a.Save(f.encoded())
	}
	b.Note = f.note
	return b, errors.Join(err, a.Close())
}

// begin continues the note of an earlier process.
func (f *follower) begin() error {
	state, saved := f.account.State(), f.account.Note()
	if saved == nil {
		if state.Epoch != 0 {
			f.known, f.note = true, note{First: state.Seq, Last: state.Seq}
		}
		return nil
	}
	if err := json.Unmarshal(saved, &f.note); err != nil {
		return fmt.Errorf("the note %q: %w", saved, err)
	}
	if f.known = true; f.note.Last != state.Seq {
		return fmt.Errorf("the note is as of event %d, and the state of event %d", f.note.Last, state.Seq)
	}
	return nil
}

func (f *follower) encoded() []byte {
	b, err := json.Marshal(f.note)
	if err != nil {
		panic(err) // three numbers can always be encoded
	}
	return b
}

// read takes updates until ctx ends.
func (f *follower) read(ctx context.Context) error {
	for {
		u, err := f.account.Next(ctx)
		if err != nil {
			return err
		}
		switch u := u.(type) {
		case *client.Event:
			if err := f.event(u); err != nil {
				return err
			}
		case *client.Connected:
			if err := f.connected(u); err != nil {
				return err
			}
		case *client.Disconnected:
			var mismatch *client.StateMismatch
			var gap *client.GapError
			var protocol *client.ProtocolError
			if errors.As(u.Err, &mismatch) || errors.As(u.Err, &gap) || errors.As(u.Err, &protocol) {
				return u.Err
			}
		}
	}
}

func (f *follower) event(ev *client.Event) error {
	if seq := ev.Seq; !f.known || seq != f.note.Last+1 {
		return fmt.Errorf("event %d was handed out after event %d", seq, f.note.Last)
	}
	f.note.add(ev)
	f.count(func(c *Counts) { c.Events++ })
	if f.rng.IntN(saveOneIn) == 0 {
		return f.account.Save(f.encoded())
	}
	return nil
}

func (f *follower) connected(u *client.Connected) error {
	if u.Resynced && f.known {
		return fmt.Errorf("resynced after event %d, although nothing is ever lost; the epoch is %x now", f.note.Last,
			u.Epoch)
	}
	if u.After != nil && !f.known {
		f.known, f.note = true, note{First: u.After.Seq, Last: u.After.Seq}
	}
	f.count(func(c *Counts) {
		c.Connections++
		if u.Resumed {
			c.Resumed++
			c.Missed += int(u.Missed)
		}
	})
	return nil
}

// order places orders until ctx ends. Whatever becomes of them, the account shows it.
func (f *follower) order(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		side, in := client.Buy, instrumentsTraded[rng.IntN(len(instrumentsTraded))]
		if rng.IntN(2) == 0 {
			side = client.Sell
		}
		limit, cancel := context.WithTimeout(ctx, orderPatience)
		_, err := f.account.Order(limit, client.Order{Side: side, Market: in[0], Code: in[1],
			Quantity: 1 + rng.Int64N(5)})
		cancel()
		var refused *client.Reject
		switch {
		case err == nil || errors.As(err, &refused):
			f.count(func(c *Counts) { c.Orders++ })
		case ctx.Err() == nil:
			f.count(func(c *Counts) { c.Unanswered++ })
		}
		select {
		case <-time.After(time.Duration(rng.Int64N(int64(orderPauseMax)))):
		case <-ctx.Done():
		}
	}
}

// rest waits until the state has reached the server's newest event, and returns the state.
func (f *follower) rest(ctx context.Context) (b belief, err error) {
	ctx, cancel := context.WithTimeout(ctx, restTimeout)
	defer cancel()
	var head uint64
	for {
		h, err := f.account.Holdings(ctx)
		if err == nil {
			head = h.AsOfSeq
			break
		}
		if !errors.Is(err, client.ErrDisconnected) {
			return b, fmt.Errorf("ask for holdings at the end: %w", err)
		}
	}
	for f.account.State().Seq < head {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return b, fmt.Errorf("event %d has not come; the state is of event %d", head, f.account.State().Seq)
		}
	}
	state := f.account.State()
	return belief{Account: f.number, Seq: state.Seq, Hash: state.Hash()}, nil
}
