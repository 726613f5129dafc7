package conformance

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
)

// TestRefusedOrders goes through the refusals that leave the connection open and the account
// unchanged.
func TestRefusedOrders(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	s.sellAll("SZ", "000001")
	s.execute(buy("SZ", "000001", 30))
	before := s.holdings()
	with := func(o *pb.Order, change func(o *pb.Order)) *pb.Order {
		change(o)
		return o
	}
	ordinary := func() *pb.Order { return buy("SZ", "000001", 10) }
	cases := []struct {
		name  string
		order *pb.Order
		code  pb.RejectCode
	}{
		{"unknown code", buy("SZ", "999999", 1), pb.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT},
		{"unknown market", buy("XX", "000001", 1), pb.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT},
		{"a code of another market", buy("SH", "300750", 1), pb.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT},
		{"no instrument", buy("", "", 1), pb.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT},
		{"quantity 0", buy("SZ", "000001", 0), pb.RejectCode_REJECT_CODE_BAD_QUANTITY},
		{"quantity -1", buy("SZ", "000001", -1), pb.RejectCode_REJECT_CODE_BAD_QUANTITY},
		{"quantity -1 sold", sell("SZ", "000001", -1), pb.RejectCode_REJECT_CODE_BAD_QUANTITY},
		{"quantity of 1e9+1", buy("SZ", "000001", 1_000_000_001), pb.RejectCode_REJECT_CODE_BAD_QUANTITY},
		{"quantity of 1e9+1 sold", sell("SZ", "000001", 1_000_000_001), pb.RejectCode_REJECT_CODE_BAD_QUANTITY},
		{"largest number as quantity", buy("SZ", "000001", math.MaxInt64), pb.RejectCode_REJECT_CODE_BAD_QUANTITY},
		{"smallest number as quantity", buy("SZ", "000001", math.MinInt64), pb.RejectCode_REJECT_CODE_BAD_QUANTITY},
		{"negative limit", with(ordinary(), func(o *pb.Order) { o.LimitPrice = -1 }),
			pb.RejectCode_REJECT_CODE_BAD_PRICE},
		{"more than held", sell("SZ", "000001", 31), pb.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES},
		{"largest order without the cash", buy("SZ", "000001", 1_000_000_000),
			pb.RejectCode_REJECT_CODE_INSUFFICIENT_CASH},
		{
			"limit buy below the price", with(ordinary(), func(o *pb.Order) { o.LimitPrice = ten - 100 }),
			pb.RejectCode_REJECT_CODE_LIMIT_NOT_MARKETABLE,
		},
		{
			"limit sell above the price", with(sell("SZ", "000001", 10),
				func(o *pb.Order) { o.LimitPrice = ten + 100 }),
			pb.RejectCode_REJECT_CODE_LIMIT_NOT_MARKETABLE,
		},
		{"side 3", with(ordinary(), func(o *pb.Order) { o.Side = 3 }), pb.RejectCode_REJECT_CODE_MALFORMED},
		{"no side", with(ordinary(), func(o *pb.Order) { o.Side = 0 }), pb.RejectCode_REJECT_CODE_MALFORMED},
		{"order id of 65 bytes", named(ordinary(), strings.Repeat("x", 65)), pb.RejectCode_REJECT_CODE_MALFORMED},
		{"order id that does not print", named(ordinary(), "a\tb"), pb.RejectCode_REJECT_CODE_MALFORMED},
		{"order id that is not ASCII", named(ordinary(), "价格"), pb.RejectCode_REJECT_CODE_MALFORMED},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s.on(t)
			text := s.refused(c.order, c.code)
			t.Logf("%v: %s", c.code, text)
			if c.code == pb.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES && !strings.Contains(text, "30") {
				t.Errorf("%q does not say that 30 are held", text)
			}
			s.alive()
		})
	}
	t.Run("an instrument not held", func(t *testing.T) {
		s.on(t)
		s.sellAll("SH", "600519")
		s.refused(sell("SH", "600519", 1), pb.RejectCode_REJECT_CODE_INSUFFICIENT_SHARES)
		s.alive()
	})
	t.Run("text that is not UTF-8", func(t *testing.T) {
		probe := open(t, s.server, s.account)
		b, id := probe.requestBytes(nil, kOrder, []byte{0x08, 1, 0x12, 2, 0xff, 0xfe, 0x1a, 1, 'x', 0x20, 1})
		probe.write(b)
		// the text must not echo the bytes; it would not be valid UTF-8
		if f := probe.answer(id); f.kind != kReject {
			t.Errorf("got %v, want REJECT", f)
		}
	})
	t.Run("nothing was changed", func(t *testing.T) {
		s.on(t)
		after := s.holdings()
		moved := after.AsOfSeq - before.AsOfSeq // 1 if SH.600519 was held and had to be sold
		if moved > 1 || (moved == 0 && after.StateHash != before.StateHash) {
			t.Errorf("holdings {%v}, want {%v}", after, before)
		}
	})
	s.on(t)
	s.sellAll("SZ", "000001")
}

// TestRefusedFrames goes through frames that are refused for their type or id after login, with the connection open.
func TestRefusedFrames(t *testing.T) {
	t.Parallel()
	s := open(t, sharedServer(t), newAccount())
	refuse := func(t *testing.T, k kind, payload []byte, code pb.RejectCode) {
		t.Helper()
		s.on(t)
		b, id := s.requestBytes(nil, k, payload)
		s.write(b)
		s.rejected(s.answer(id), code)
		s.alive()
	}
	t.Run("a second login", func(t *testing.T) {
		refuse(t, kLogin, encode(&pb.Login{Account: s.account}), pb.RejectCode_REJECT_CODE_ALREADY_LOGGED_IN)
	})
	for _, k := range []kind{0, 8, 15, 26, 35, 100, 0x7fff, 0x8000, 0xffff} {
		t.Run(fmt.Sprintf("unknown type %#x", uint16(k)), func(t *testing.T) {
			refuse(t, k, []byte("anything"), pb.RejectCode_REJECT_CODE_UNKNOWN_TYPE)
		})
	}
	for _, k := range []kind{
		kWelcome, kLoginReply, kGoodbye, kReject, kExecution, kHoldingsReply, kHistoryReply, kInstrumentsReply,
		kSubscribed,
		kEvent, kQuotes, kPresence,
	} {
		t.Run(fmt.Sprintf("type %d, which only the server sends", k), func(t *testing.T) {
			refuse(t, k, nil, pb.RejectCode_REJECT_CODE_MALFORMED)
		})
	}
	for _, k := range []kind{kPing, kOrder, kHoldings, kHistory, kInstruments, kSubscribe} {
		t.Run(fmt.Sprintf("id 0 in type %d", k), func(t *testing.T) {
			s.on(t)
			var payload []byte
			if k == kOrder {
				payload = encode(buy("SZ", "000001", 1))
			}
			s.write(appendFrame(nil, k, 0, 0, payload))
			s.rejectWithoutID(pb.RejectCode_REJECT_CODE_MALFORMED)
			s.alive()
		})
	}
	t.Run("a pong that nobody asked for is not answered", func(t *testing.T) {
		s.on(t)
		s.write(appendFrame(nil, kPong, flagReply, 99, nil))
		s.alive()
	})
	t.Run("the account is as it was", func(t *testing.T) {
		s.on(t)
		if h := s.holdings(); h.StateHash != s.reply.Holdings.StateHash {
			t.Errorf("state hash %#x, want %#x", h.StateHash, s.reply.Holdings.StateHash)
		}
	})
}

// TestFramesThatClose goes through the frames that end a connection: REJECT, GOODBYE PROTOCOL, end
// of the stream.
func TestFramesThatClose(t *testing.T) {
	t.Parallel()
	srv, account := sharedServer(t), newAccount()
	closes := func(t *testing.T, s *session, b []byte, id uint64, code pb.RejectCode) {
		t.Helper()
		s.write(b)
		f, err := s.tryNext()
		if err != nil {
			t.Fatalf("the connection ended with %v, want REJECT %v first", err, code)
		}
		s.rejected(f, code)
		if f.id != id {
			t.Errorf("REJECT with id %d, want %d", f.id, id)
		}
		s.goodbye(pb.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
	}
	for _, k := range []kind{kOrder, kHoldings, kHistory, kInstruments, kSubscribe, kEvent, 0, 100, 0x8000} {
		t.Run(fmt.Sprintf("type %d before login", k), func(t *testing.T) {
			s := dial(t, srv)
			b, id := s.requestBytes(nil, k, nil)
			closes(t, s, b, id, pb.RejectCode_REJECT_CODE_NOT_LOGGED_IN)
		})
	}
	t.Run("id 0 before login", func(t *testing.T) {
		closes(t, dial(t, srv), appendFrame(nil, kHoldings, 0, 0, nil), 0, pb.RejectCode_REJECT_CODE_NOT_LOGGED_IN)
	})
	for _, k := range []kind{kPing, kOrder, kHoldings, kHistory, kInstruments, kSubscribe} {
		t.Run(fmt.Sprintf("payload of type %d that does not parse", k), func(t *testing.T) {
			s := open(t, srv, account)
			b, id := s.requestBytes(nil, k, []byte{0x08})
			closes(t, s, b, id, pb.RejectCode_REJECT_CODE_MALFORMED)
		})
	}
	t.Run("login that does not parse", func(t *testing.T) {
		s := dial(t, srv)
		b, id := s.requestBytes(nil, kLogin, []byte{0x2a, 0x7f, 'x'})
		closes(t, s, b, id, pb.RejectCode_REJECT_CODE_MALFORMED)
	})
	lengths := []struct {
		before, after uint32 // before and after login; 0 if not tried
		code          pb.RejectCode
	}{
		{loginLength + 1, requestLength + 1, pb.RejectCode_REJECT_CODE_TOO_LARGE},
		{requestLength, answerLength, pb.RejectCode_REJECT_CODE_TOO_LARGE},
		{1 << 31, 1 << 31, pb.RejectCode_REJECT_CODE_TOO_LARGE},
		{math.MaxUint32, math.MaxUint32, pb.RejectCode_REJECT_CODE_TOO_LARGE},
	}
	for short := uint32(0); short < minLength; short++ {
		lengths = append(lengths, struct {
			before, after uint32
			code          pb.RejectCode
		}{short, short, pb.RejectCode_REJECT_CODE_MALFORMED})
	}
	// Only the length is sent, because the server judges it before any byte of the body has come.
	for _, c := range lengths {
		t.Run("length "+strconv.FormatUint(uint64(c.before), 10)+" before login", func(t *testing.T) {
			closes(t, dial(t, srv), binary.BigEndian.AppendUint32(nil, c.before), 0, c.code)
		})
		t.Run("length "+strconv.FormatUint(uint64(c.after), 10)+" after login", func(t *testing.T) {
			closes(t, open(t, srv, account), binary.BigEndian.AppendUint32(nil, c.after), 0, c.code)
		})
	}
	t.Run("what came before a bad frame is answered", func(t *testing.T) {
		s := open(t, srv, account)
		b, id := s.request(nil, kPing, &pb.Ping{})
		s.write(append(b, 0, 0, 0, 0))
		s.answer(id)
		f := s.next()
		s.rejected(f, pb.RejectCode_REJECT_CODE_MALFORMED)
		s.goodbye(pb.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
	})
}

// TestLargestFrames sends frames of exactly the largest length. The server accepts them.
func TestLargestFrames(t *testing.T) {
	t.Parallel()
	srv, account := sharedServer(t), newAccount()
	// pad fills a payload up to a length with a field of a future version: number 127,
	// length-delimited.
	pad := func(payload []byte, length int) []byte {
		room := length - minLength - len(payload) - 4 // 2 bytes of tag, 2 of length
		payload = append(payload, 0xfa, 0x07, byte(room&0x7f|0x80), byte(room>>7))
		return append(payload, make([]byte, room)...)
	}
	s := dial(t, srv)
	s.account = account
	t.Run("512 before login", func(t *testing.T) {
		s.on(t)
		b, id := s.requestBytes(nil, kLogin, pad(encode(&pb.Login{Account: account}), loginLength))
		if len(b) != 4+loginLength {
			t.Fatalf("the frame has %d bytes", len(b))
		}
		s.write(b)
		if f := s.answer(id); f.kind != kLoginReply {
			t.Fatalf("got %v, want a login reply", f)
		}
	})
	t.Run("4096 after login", func(t *testing.T) {
		s.on(t)
		b, id := s.requestBytes(nil, kHoldings, pad(nil, requestLength))
		if len(b) != 4+requestLength {
			t.Fatalf("the frame has %d bytes", len(b))
		}
		s.write(b)
		if f := s.answer(id); f.kind != kHoldingsReply {
			t.Fatalf("got %v, want holdings", f)
		}
	})
}
