package load

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// loginsMost bounds the connections of a thread that are logging in: servers bound their
// number over all clients.
const loginsMost = 128

// dialSome starts as many connections as may be logging in at once.
func (w *worker) dialSome() {
	for w.dialed < len(w.conns) && w.onTheWay < loginsMost {
		c := &w.conns[w.dialed]
		w.dialed++
		w.dial(c)
	}
}

func (w *worker) dial(c *conn) {
	source := 0
	if w.plan.Sources > 0 {
		source = 2 + c.number%w.plan.Sources
	}
	fd, err := dial(&w.to, source, c.stalled)
	if err != nil {
		w.fail(fmt.Errorf("connection %d: connect: %w", c.number, err))
		return
	}
	c.fd, c.state, c.pending, c.unsent = int32(fd), connecting, nil, nil
	w.onTheWay++
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(c.number - w.first)}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		w.fail(fmt.Errorf("connection %d: epoll: %w", c.number, err))
	}
}

// connected handles the result of a connect.
func (w *worker) connected(c *conn) {
	if errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
		w.ended(c, fmt.Errorf("connect: %w", errors.Join(err, unix.Errno(errno))))
		return
	}
	c.state = greeting
	if w.plan.Echo {
		w.becomeLive(c)
	}
	if w.watch(c); w.tls != nil {
		w.seal(c)
	}
}

// login answers a WELCOME.
func (w *worker) login(c *conn, f *codec.Frame) {
	var m papertapev1.Welcome
	if err := codec.Unmarshal(f.Payload, &m); err != nil || c.state != greeting {
		w.tally.addFinding("connection %d: a WELCOME that does not parse, or the second one: %v", c.number, err)
		return
	}
	w.heartbeat = int64(m.GetHeartbeatMs()) * int64(time.Millisecond)
	c.state = loggingIn
	c.lastID++
	w.send(c, codec.Append(nil, codec.TypeLogin, 0, c.lastID, &papertapev1.Login{
		Account: c.account, Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, Client: "papertape-bench"}))
}

// loggedIn handles a LOGIN reply, which says what state the account is in.
func (w *worker) loggedIn(c *conn, f *codec.Frame) {
	var m papertapev1.LoginReply
	if err := codec.Unmarshal(f.Payload, &m); err != nil || m.GetAccount() != c.account {
		w.ended(c, fmt.Errorf("a login of account %d was answered with account %d: %w", c.account, m.GetAccount(), err))
		return
	}
	c.seq, c.have = m.GetHeadSeq(), 0
	for _, p := range m.GetHoldings().GetPositions() {
		if p.GetMarket() == orderMarket && p.GetCode() == orderCode {
			c.have = p.GetQuantity()
		}
	}
	w.becomeLive(c)
}

// subscribe subscribes to quotes. It is part of the traffic, since quotes may be a flood
// during which others could not log in.
func (w *worker) subscribe(c *conn) {
	c.lastID++
	w.send(c, codec.Append(nil, codec.TypeSubscribe, 0, c.lastID, &papertapev1.Subscribe{Quotes: true}))
}

func (w *worker) becomeLive(c *conn) {
	c.state = live
	w.onTheWay--
	w.alive++
	if w.started { // a stalled connection that has come back
		w.begin(c)
	}
	if w.alive == len(w.conns) && !w.opened {
		w.opened = true
		w.report(nil)
	}
}

// ended handles a lost connection. A stalled one comes back. Each of the others is counted,
// and is an error in Open.
func (w *worker) ended(c *conn, why error) {
	if c.state == away {
		return
	}
	if c.state == live {
		w.alive--
	} else {
		w.onTheWay--
	}
	c.state = away
	_ = unix.Close(int(c.fd))
	if c.sealed != nil {
		c.sealed.Drop()
		c.sealed = nil
	}
	clear(c.waiting)
	w.tally.cut++
	switch {
	case !w.opened:
		w.fail(fmt.Errorf("connection %d of account %d: %w", c.number, c.account, why))
	case c.stalled:
		w.tally.returned++
		w.dial(c)
	default:
		w.tally.addFinding("connection %d of account %d ended: %v", c.number, c.account, why)
	}
}
