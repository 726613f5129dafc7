package conformance

import (
	"fmt"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

const (
	snapshot = pb.ResumeMode_RESUME_MODE_SNAPSHOT
	restart  = pb.ResumeMode_RESUME_MODE_RESTART
	quick    = pb.ResumeMode_RESUME_MODE_QUICK

	firstAccount = 100_001
	lastAccount  = 100_100 // always opens empty
)

func TestWelcome(t *testing.T) {
	srv := sharedServer(t)
	a, b, c := dial(t, srv), dial(t, srv), dial(t, srv)
	w := a.welcome
	t.Run("uid is given and differs per connection", func(t *testing.T) {
		uids := map[uint64]bool{w.Uid: true, b.welcome.Uid: true, c.welcome.Uid: true}
		if len(uids) != 3 || uids[0] {
			t.Errorf("uids %v of three connections, want three, none of them 0", uids)
		}
	})
	t.Run("protocol is 1", func(t *testing.T) {
		if w.Protocol != 1 {
			t.Errorf("protocol %d", w.Protocol)
		}
	})
	t.Run("epoch is set and the same for all", func(t *testing.T) {
		if w.Epoch == 0 || b.welcome.Epoch != w.Epoch {
			t.Errorf("epochs %#x and %#x", w.Epoch, b.welcome.Epoch)
		}
	})
	t.Run("instance is set and the same for all", func(t *testing.T) {
		if w.Instance == 0 || b.welcome.Instance != w.Instance || c.welcome.Instance != w.Instance {
			t.Errorf("instances %#x, %#x and %#x", w.Instance, b.welcome.Instance, c.welcome.Instance)
		}
	})
	t.Run("heartbeat is 15 s", func(t *testing.T) {
		if w.HeartbeatMs != 15_000 {
			t.Errorf("heartbeat_ms %d", w.HeartbeatMs)
		}
	})
	t.Run("largest frame is 4096", func(t *testing.T) {
		if w.MaxFrame != requestLength {
			t.Errorf("max_frame %d", w.MaxFrame)
		}
	})
	t.Run("no nonce without authentication", func(t *testing.T) {
		if len(w.Nonce) != 0 {
			t.Errorf("nonce of %d bytes", len(w.Nonce))
		}
	})
	t.Run("the server says its name", func(t *testing.T) {
		if w.Server == "" {
			t.Error("server is empty")
		}
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	srv := sharedServer(t)
	for _, mode := range []pb.ResumeMode{snapshot, pb.ResumeMode_RESUME_MODE_UNSPECIFIED} {
		t.Run(mode.String(), func(t *testing.T) {
			s := dial(t, srv)
			// Only mode RESUME reads last_seq and epoch.
			r := s.loginWith(&pb.Login{Account: newAccount(), Mode: mode, LastSeq: 1 << 40, Epoch: 3})
			if r.Mode != snapshot || r.Resynced || r.HeadSeq == 0 {
				t.Fatalf("reply {%v}, want a snapshot, not resynced, with a head", r)
			}
			s.holdings() // the judge compares it with the snapshot
			s.alive()
		})
	}
	t.Run("ping before login", func(t *testing.T) {
		s := dial(t, srv)
		if head := s.ping(); head != 0 {
			t.Errorf("head_seq %d before login, want 0", head)
		}
		s.login(newAccount(), snapshot)
		if head := s.ping(); head != s.reply.HeadSeq || head == 0 {
			t.Errorf("head_seq %d after login, want %d", head, s.reply.HeadSeq)
		}
	})
	t.Run("the second try succeeds", func(t *testing.T) {
		s := dial(t, srv)
		s.rejected(s.answer(s.send(kLogin, &pb.Login{Account: 4711})), pb.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
		s.ping()
		s.login(newAccount(), snapshot)
		s.alive()
	})
	t.Run("the third refusal closes", func(t *testing.T) {
		s := dial(t, srv)
		for _, account := range []uint64{0, lastAccount + 1, 1<<64 - 1} {
			s.rejected(s.answer(s.send(kLogin, &pb.Login{Account: account})), pb.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
		}
		s.goodbye(pb.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
	})
}

// TestOpening judges all hundred accounts of a fresh server: the list, the cash, and the history of
// the opening.
func TestOpening(t *testing.T) {
	t.Parallel()
	srv := start(t)
	lists := map[uint64]*pb.Holdings{}
	taken := t.Run("snapshot", func(t *testing.T) {
		for account := uint64(firstAccount); account <= lastAccount; account++ {
			s := open(t, srv, account)
			lists[account] = s.reply.Holdings
			s.close()
		}
	})
	if !taken {
		return
	}
	t.Run("cash is 1,000,000.00", func(t *testing.T) {
		for account, h := range lists {
			if h.Cash.Balance != 1_000_000*money || h.Cash.FeesPaid != 0 || h.Cash.Realised != 0 {
				t.Errorf("account %d: cash %v", account, h.Cash)
			}
		}
	})
	t.Run("0 to 12 rows, some accounts empty, 100100 among them", func(t *testing.T) {
		sizes := map[int]int{}
		for account, h := range lists {
			sizes[len(h.Positions)]++
			if len(h.Positions) > 12 {
				t.Errorf("account %d opens with %d rows", account, len(h.Positions))
			}
		}
		if len(lists[lastAccount].Positions) != 0 {
			t.Errorf("account %d opens with %d rows", lastAccount, len(lists[lastAccount].Positions))
		}
		if sizes[0] < 2 || sizes[0] > 90 {
			t.Errorf("%d of 100 accounts are empty, want some", sizes[0])
		}
	})
	t.Run("only 100001 to 100100 exist", func(t *testing.T) {
		s := dial(t, srv)
		for _, account := range []uint64{firstAccount - 1, lastAccount + 1} {
			s.rejected(s.answer(s.send(kLogin, &pb.Login{Account: account})), pb.RejectCode_REJECT_CODE_UNKNOWN_ACCOUNT)
		}
	})
	t.Run("history from the first event gives the list", func(t *testing.T) {
		for account := uint64(firstAccount); account <= lastAccount; account++ {
			if err := judgeOpening(t, srv, account, lists[account]); err != nil {
				t.Fatalf("account %d: %v", account, err)
			}
		}
	})
	t.Run("the same seed opens the same books", func(t *testing.T) {
		again := start(t)
		for account := uint64(firstAccount); account < firstAccount+20; account++ {
			if h := open(t, again, account).reply.Holdings; h.StateHash != lists[account].StateHash {
				t.Errorf("account %d: state hash %#x, want %#x", account, h.StateHash, lists[account].StateHash)
			}
		}
	})
}

// judgeOpening replays an account's opening and folds it.
func judgeOpening(t testing.TB, srv *server, account uint64, list *pb.Holdings) error {
	t.Helper()
	s := dial(t, srv)
	defer s.close()
	r := s.login(account, restart)
	if r.Mode != restart || r.Resynced || r.OldestSeq != 1 || r.HeadSeq != list.AsOfSeq {
		return fmt.Errorf("reply {%v}, want RESTART from 1 to %d", r, list.AsOfSeq)
	}
	s.until(r.HeadSeq)
	var cost int64
	for i, a := range s.events {
		if a.kind != kEvent {
			return fmt.Errorf("event %d came as type %d, want EVENT", a.event.Seq, a.kind)
		}
		if i == 0 {
			continue
		}
		trade := a.event.GetTrade()
		if trade.GetOrigin() != pb.Origin_ORIGIN_OPERATOR || a.event.Change != pb.Change_CHANGE_OPENED {
			return fmt.Errorf("event {%v}, want an operator's trade that opens a row", a.event)
		}
		cost += trade.Amount
	}
	first := s.events[0].event.GetAdjustment()
	if first.GetCash() != 1_000_000*money+cost {
		return fmt.Errorf("the first event is {%v}, want an adjustment of 1,000,000.00 plus the rows' cost of %d",
			s.events[0].event, cost)
	}
	if len(s.events) != 1+len(list.Positions) {
		return fmt.Errorf("%d events, want the adjustment and one trade for each of %d rows",
			len(s.events), len(list.Positions))
	}
	if err := s.book.agrees(list); err != nil {
		return err
	}
	s.holdings()
	return nil
}
