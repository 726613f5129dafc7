package codec_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// goldenCase is a frame as the package encodes it, with its message. For requests, check
// compares the server's decoder with the protobuf runtime.
type goldenCase struct {
	file    string
	name    string
	frame   []byte
	message proto.Message
	check   func(t failer, payload []byte)
}

const (
	goldenAccount = 100_017
	goldenEpoch   = 0x1122334455667788
	goldenTime    = 1_767_578_400_123_456_789
)

// countingBytes returns n bytes that count up from first.
func countingBytes(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// goldenCases returns all messages of the protocol, in the order of their types.
func goldenCases(t failer) []goldenCase {
	t.Helper()
	return slices.Concat(goldenSession(t), goldenRequests(t), goldenEvents(t), goldenMarket(t))
}

func request(file string, typ codec.Type, id uint64, m generated, check func(t failer, payload []byte)) goldenCase {
	return goldenCase{file, typ.String(), codec.Append(nil, typ, 0, id, m), m, check}
}

func goldenSession(t failer) []goldenCase {
	welcome := &papertapev1.Welcome{
		Uid: 7, Protocol: 1, Server: "papertape 0.1.0", Epoch: goldenEpoch, Nonce: countingBytes(0x00,
			32), HeartbeatMs: 10_000,
		MaxFrame: 4096, ProofVersion: 2,
	}
	login := &papertapev1.Login{
		Account: goldenAccount, Mode: papertapev1.ResumeMode_RESUME_MODE_RESUME, LastSeq: 41, Epoch: goldenEpoch,
		Client: "example 1.0",
	}
	withProof := &papertapev1.Login{
		Account: goldenAccount, Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, KeyId: "desk-1",
		ClientNonce: countingBytes(0x80, 32),
	}
	withProof.Proof = goldenProof(countingBytes(0x40, 32), welcome.GetNonce(), withProof.GetClientNonce(),
		goldenAccount)
	h := goldenHoldings(t)
	reply := &codec.LoginReply{
		Account: goldenAccount, HeadSeq: 42, OldestSeq: 1, Epoch: goldenEpoch,
		Mode: papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, Resynced: true, Holdings: h,
	}
	const shutdown, insufficient = papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN,
		papertapev1.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES
	const (
		goodbye = "the server is stopping: come back later and resume"
		reject  = "sell 500 SH 600519: account 100017 holds 200"
	)
	return []goldenCase{
		{"welcome", "WELCOME", codec.AppendWelcome(nil, welcome), welcome, nil},
		request("login", codec.TypeLogin, 1, login, checkLogin),
		request("login_proof", codec.TypeLogin, 1, withProof, checkLogin),
		{"login_reply", "LOGIN", codec.AppendLoginReply(nil, 1, reply, universe), &papertapev1.LoginReply{
			Account: goldenAccount, HeadSeq: 42, OldestSeq: 1, Epoch: goldenEpoch, Mode: reply.Mode, Resynced: true,
			Holdings: wireHoldings(h, universe),
		}, nil},
		{"ping", "PING", codec.AppendPing(nil, 8, 42), &papertapev1.Ping{HeadSeq: 42}, checkPing},
		{"ping_client", "PING", codec.AppendPing(nil, 9, 0), &papertapev1.Ping{}, checkPing},
		{"pong", "PONG", codec.AppendPong(nil, 9, 42), &papertapev1.Pong{HeadSeq: 42}, checkPing},
		{"goodbye", "GOODBYE", codec.AppendGoodbye(nil, shutdown, goodbye, 1500*time.Millisecond),
			&papertapev1.Goodbye{Reason: shutdown, Text: goodbye, RetryAfterMs: 1500}, nil},
		{"reject", "REJECT", codec.AppendReject(nil, 11, insufficient, reject, 0),
			&papertapev1.Reject{Code: insufficient, Text: reject}, nil},
		{"reject_push", "REJECT", codec.AppendReject(nil, 0, tooLarge, "the frame is too long", 0),
			&papertapev1.Reject{Code: tooLarge, Text: "the frame is too long"}, nil},
	}
}

// goldenProof is the proof of a login, as protocol.md has it.
func goldenProof(secret, nonce, clientNonce []byte, account uint64) []byte {
	mac := func(key []byte, parts ...[]byte) []byte {
		m := hmac.New(sha256.New, key)
		m.Write(bytes.Join(parts, nil))
		return m.Sum(nil)
	}
	clientKey := mac(secret, []byte("papertape-v2 client key"))
	verifier := sha256.Sum256(clientKey)
	proof := mac(verifier[:], []byte("papertape-v2"), nonce, clientNonce, binary.BigEndian.AppendUint64(nil, account))
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	return proof
}

func goldenRequests(t failer) []goldenCase {
	maotai, bank := instrument(t, "SH", "600519"), instrument(t, "SZ", "000001")
	ids := []market.ID{maotai, bank}
	prices := universe.Opening()
	instruments, quotes := new(papertapev1.Instruments), new(papertapev1.Quotes)
	for _, id := range ids {
		i := universe.At(id)
		lower, upper := i.Limits()
		instruments.Instruments = append(instruments.Instruments, &papertapev1.Instrument{
			Market: i.Market, Code: i.Code, Name: i.Name, Price: i.PreviousClose, PreviousClose: i.PreviousClose,
			Lot: i.Lot, Tick: i.Tick, Currency: "CNY", Upper: upper, Lower: lower,
			Status: papertapev1.MarketStatus_MARKET_STATUS_OPEN, Mic: i.ExchangeMIC(),
		})
		quotes.Quotes = append(quotes.Quotes,
			&papertapev1.Quote{Market: i.Market, Code: i.Code, Price: i.PreviousClose})
	}
	h := goldenHoldings(t)
	newer, older := goldenClosed(t), goldenTrade(t)
	return []goldenCase{
		request("order", codec.TypeOrder, 10, sampleOrder(), checkOrder),
		request("order_market", codec.TypeOrder, 11, &papertapev1.Order{
			Side: papertapev1.Side_SIDE_SELL, Market: "XSHE", Code: "000001", Quantity: 100,
		}, checkOrder),
		request("holdings", codec.TypeHoldings, 12, &papertapev1.HoldingsRequest{}, checkHoldings),
		{"holdings_reply", "HOLDINGS", codec.AppendHoldings(nil, 12, h, universe), wireHoldings(h, universe), nil},
		request("history", codec.TypeHistory, 13, &papertapev1.HistoryRequest{BeforeSeq: 44, Limit: 2}, checkHistory),
		{"history_reply", "HISTORY", codec.AppendHistory(nil, 13, []*positions.Event{newer, older}, 1, universe),
			&papertapev1.History{
				Events:    []*papertapev1.AccountEvent{wireEvent(newer, universe), wireEvent(older, universe)},
				OldestSeq: 1,
			}, nil},
		request("instruments", codec.TypeInstruments, 14,
			&papertapev1.InstrumentsRequest{Codes: []string{"SH.600519", "SZ.000001"}}, checkInstruments),
		{"instruments_reply", "INSTRUMENTS", codec.AppendInstruments(nil, 14,
			&codec.InstrumentsRequest{IDs: ids}, prices, universe), instruments, nil},
		request("instruments_after", codec.TypeInstruments, 16, &papertapev1.InstrumentsRequest{After: "SZ.300274"},
			checkInstruments),
		request("subscribe", codec.TypeSubscribe, 15, &papertapev1.Subscribe{Quotes: true}, checkSubscribe),
		{"subscribed", "SUBSCRIBED", codec.AppendSubscribed(nil, 15, codec.Subscribe{Quotes: true}),
			&papertapev1.Subscribed{Quotes: true}, nil},
		{"quotes", "QUOTES", codec.AppendQuotes(nil, ids, prices, universe), quotes, nil},
		request("presence", codec.TypePresence, 0,
			&papertapev1.Presence{Account: goldenAccount, Uid: 7, Online: true, Sessions: 2}, nil),
	}
}

func goldenEvents(t failer) []goldenCase {
	event := func(file string, typ codec.Type, flags codec.Flags, id uint64, ev *positions.Event) goldenCase {
		frame := codec.AppendEvent(nil, typ, flags, id, ev, universe)
		return goldenCase{file, typ.String(), frame, wireEvent(ev, universe), nil}
	}
	return []goldenCase{
		event("execution", codec.TypeExecution, codec.FlagReply, 10, goldenTrade(t)),
		event("execution_replay", codec.TypeExecution, codec.FlagReply|codec.FlagReplay, 10, goldenTrade(t)),
		event("event_trade", codec.TypeEvent, 0, 0, goldenTrade(t)),
		event("event_closed", codec.TypeEvent, 0, 0, goldenClosed(t)),
		event("event_replay", codec.TypeEvent, codec.FlagReplay, 0, goldenTrade(t)),
		event("event_bust", codec.TypeEvent, 0, 0, goldenBust(t)),
		event("event_correction", codec.TypeEvent, 0, 0, goldenCorrection(t)),
		event("event_adjustment", codec.TypeEvent, 0, 0, goldenAdjustment()),
		event("event_reset", codec.TypeEvent, 0, 0, goldenReset(t)),
	}
}

func goldenHoldings(t failer) *positions.Holdings {
	maotai, bank := instrument(t, "SH", "600519"), instrument(t, "SZ", "000001")
	h := &positions.Holdings{
		Account: goldenAccount, Seq: 42,
		Positions: []positions.Position{
			{
				Row: positions.Row{Quantity: 200, Cost: 2_000_0000, Realised: -30_0000, Version: 42,
					Instrument: maotai},
				Sellable: 200, Price: 11_0000,
			},
			{
				Row:      positions.Row{Quantity: 100, Cost: 1_000_0000, Version: 17, Instrument: bank},
				Sellable: 100, Price: 10_0001,
			},
		},
		TotalMarketValue: 200*11_0000 + 100*10_0001,
		Cash:             positions.Cash{Balance: 996_965_0000, FeesPaid: 5_0000, Realised: -30_0000},
	}
	h.Hash = positions.StateHash(universe, h.Account, h.Seq, h.Cash, h.Positions)
	return h
}

// goldenTrade is an increase: 100 @ 10 were held, 100 more are bought: 200, cost 2000.
func goldenTrade(t failer) *positions.Event {
	maotai := instrument(t, "SH", "600519")
	id, _ := positions.MakeOrderID([]byte("morning-17"))
	return &positions.Event{
		Account: goldenAccount, Seq: 42, Time: goldenTime,
		Cash: positions.Cash{Balance: 997_995_0000, FeesPaid: 5_0000}, TotalMarketValue: 2_000_0000,
		Trade: positions.Trade{
			Quantity: 100, Price: 10_0000, Amount: 1_000_0000, Fees: 5_0000, Instrument: maotai, Side: positions.Buy,
			Origin: positions.OriginClient, OrderID: id,
		},
		Position: positions.Position{
			Row:      positions.Row{Quantity: 200, Cost: 2_000_0000, Version: 42, Instrument: maotai},
			Sellable: 200, Price: 10_0000,
		},
		Kind: positions.KindTrade, Change: positions.Increased,
	}
}

// goldenClosed sells all shares: the event has the row once more, with quantity 0.
func goldenClosed(t failer) *positions.Event {
	ev := goldenTrade(t)
	ev.Seq, ev.Change, ev.TotalMarketValue = 43, positions.Closed, 0
	ev.Cash = positions.Cash{Balance: 999_994_9800, FeesPaid: 5_0000, Realised: -200}
	ev.Trade = positions.Trade{
		Quantity: 200, Price: 9_9999, Amount: 200 * 9_9999, Instrument: ev.Trade.Instrument, Side: positions.Sell,
		Origin: positions.OriginSimulator,
	}
	ev.Position = positions.Position{
		Row: positions.Row{Realised: -200, Version: 43, Instrument: ev.Trade.Instrument}, Price: 9_9999,
	}
	return ev
}

// goldenBust takes goldenTrade back, together with the sale of 150, 100017-43, that
// depended on it. 100 are left.
func goldenBust(t failer) *positions.Event {
	trade := goldenTrade(t)
	return &positions.Event{
		Account: goldenAccount, Seq: 44, Time: goldenTime + 1_000_000_000, Kind: positions.KindBust,
		Change: positions.Increased, Cash: positions.Cash{Balance: 999_000_0000}, TotalMarketValue: 1_000_0000,
		Bust: &positions.Bust{
			TradeSeq: 42, Reason: "wrong price", Actor: "ops", ID: "bust-1", Original: trade.Trade,
			Cascade: []uint64{43},
			Positions: []positions.Position{{
				Row: positions.Row{Quantity: 100, Cost: 1_000_0000, Version: 44,
					Instrument: trade.Trade.Instrument},
				Sellable: 100, Price: 10_0000,
			}},
		},
	}
}

// goldenReset begins the account anew, with the cash of its opening. Two rows go.
func goldenReset(t failer) *positions.Event {
	return &positions.Event{
		Account: goldenAccount, Seq: 46, Time: goldenTime + 3_000_000_000, Kind: positions.KindReset,
		Cash: positions.Cash{Balance: 1_000_000_0000},
		Reset: &positions.Reset{
			Cash: 1_000_000_0000, Reason: "a new term", Actor: "ops", ID: "r-1",
			Gone: []market.ID{instrument(t, "SH", "600519"), instrument(t, "SZ", "000001")},
		},
	}
}

// goldenCorrection corrects goldenTrade to a price of 9.98, with nothing sold in between.
func goldenCorrection(t failer) *positions.Event {
	ev := goldenBust(t)
	replacement := ev.Bust.Original
	replacement.Price, replacement.Amount, replacement.Revision = 9_9800, 998_0000, 1
	ev.Change, ev.TotalMarketValue = positions.Unchanged, 2_000_0000
	ev.Cash = positions.Cash{Balance: 997_997_0000, FeesPaid: 5_0000}
	ev.Bust.Replacement, ev.Bust.Cascade = &replacement, nil
	row := &ev.Bust.Positions[0]
	row.Quantity, row.Sellable, row.Cost = 200, 200, 1_998_0000
	return ev
}

func goldenAdjustment() *positions.Event {
	return &positions.Event{
		Account: goldenAccount, Seq: 1, Time: goldenTime, Kind: positions.KindAdjustment,
		Cash:       positions.Cash{Balance: 1_000_000_0000},
		Adjustment: &positions.Adjustment{Cash: 1_000_000_0000, Reason: "opening", Actor: "server"},
	}
}
