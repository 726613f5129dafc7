package codec_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

var universe = market.Default()

// failer is the part of *testing.T, *testing.B and *rapid.T that the helpers need.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// marshal encodes with the protobuf runtime, independently of this package and of the
// generated code.
func marshal(t failer, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatalf("marshal %T: %v", m, err)
	}
	return b
}

// parses is the reference for decoding: it accepts what the protobuf runtime accepts,
// except known fields with the wrong wire type, which the runtime takes for unknown fields.
func parses(payload []byte, m proto.Message) bool {
	if proto.Unmarshal(payload, m) != nil {
		return false
	}
	known := m.ProtoReflect().Descriptor().Fields()
	unknown := m.ProtoReflect().GetUnknown()
	for len(unknown) > 0 {
		num, _, n := protowire.ConsumeField(unknown)
		if known.ByNumber(num) != nil {
			return false
		}
		unknown = unknown[n:]
	}
	return true
}

// onlyFrame returns the payload of b, which must be exactly one frame with the given
// header.
func onlyFrame(t failer, b []byte, typ codec.Type, flags codec.Flags, id uint64) []byte {
	t.Helper()
	f, n, err := codec.Cut(b, codec.LimitToClient)
	if err != nil || n != len(b) {
		t.Fatalf("Cut = %d bytes of %d, %v", n, len(b), err)
	}
	if f.Type != typ || f.Flags != flags || f.ID != id {
		t.Fatalf("header %v %d %d, want %v %d %d", f.Type, f.Flags, f.ID, typ, flags, id)
	}
	return f.Payload
}

// checkPayload checks that payload encodes want, by the protobuf runtime and by Unmarshal.
func checkPayload(t failer, payload []byte, want proto.Message) {
	t.Helper()
	got := want.ProtoReflect().New().Interface()
	if !parses(payload, got) || !proto.Equal(got, want) || len(got.ProtoReflect().GetUnknown()) > 0 {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	if err := codec.Unmarshal(payload, got.(unmarshaler)); err != nil || !proto.Equal(got, want) {
		t.Fatalf("Unmarshal: %v\ngot  %v\nwant %v", err, got, want)
	}
}

type unmarshaler interface {
	proto.Message
	UnmarshalVT(b []byte) error
	Reset()
}

// checkRefused checks a decoder's error: its code, whether it is fatal, and that its sentence
// can be sent.
func checkRefused(t failer, err error, code papertapev1.RejectCode, fatal bool) {
	t.Helper()
	var e *codec.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want a *codec.Error", err, err)
	}
	if e.Code != code || e.Fatal != fatal {
		t.Fatalf("error %v, fatal %t; want %v, fatal %t", e, e.Fatal, code, fatal)
	}
	if len(e.Text) < 20 || len(e.Text) > 500 || !utf8.ValidString(e.Text) {
		t.Fatalf("the sentence %q has %d bytes", e.Text, len(e.Text))
	}
	if name := strings.TrimPrefix(code.String(), "REJECT_CODE_"); e.Error() != name+": "+e.Text {
		t.Fatalf("Error() = %q", e.Error())
	}
}

const (
	malformed = papertapev1.RejectCode_REJECT_CODE_MALFORMED
	unknown   = papertapev1.RejectCode_REJECT_CODE_UNKNOWN_INSTRUMENT
	tooLarge  = papertapev1.RejectCode_REJECT_CODE_TOO_LARGE
)

// The wire form of an event, built in the simplest way: a generated message, field by
// field.

func wireEvent(ev *positions.Event, u *market.Universe) *papertapev1.AccountEvent {
	m := &papertapev1.AccountEvent{
		Account: ev.Account, Seq: ev.Seq, Time: ev.Time, Change: papertapev1.Change(ev.Change), Cash: wireCash(ev.Cash),
		TotalMarketValue: ev.TotalMarketValue,
	}
	switch ev.Kind {
	case positions.KindTrade:
		m.What = &papertapev1.AccountEvent_Trade{Trade: wireTrade(ev.Account, ev.Seq, &ev.Trade, u)}
		m.Positions = wirePositions([]positions.Position{ev.Position}, u)
	case positions.KindBust:
		m.What = &papertapev1.AccountEvent_Bust{Bust: wireBust(ev.Account, ev.Bust, u)}
		m.Positions = wirePositions(ev.Bust.Positions, u)
	case positions.KindAdjustment:
		a := ev.Adjustment
		m.What = &papertapev1.AccountEvent_Adjustment{
			Adjustment: &papertapev1.Adjustment{Cash: a.Cash, Reason: a.Reason, Actor: a.Actor},
		}
	case positions.KindReset:
		r := ev.Reset
		m.What = &papertapev1.AccountEvent_Reset_{
			Reset_: &papertapev1.Reset{Cash: r.Cash, Reason: r.Reason, Actor: r.Actor},
		}
		for _, id := range r.Gone {
			m.Positions = append(m.Positions, &papertapev1.Position{Market: u.At(id).Market, Code: u.At(id).Code})
		}
	}
	return m
}

func wireTrade(account, seq uint64, t *positions.Trade, u *market.Universe) *papertapev1.Trade {
	i := u.At(t.Instrument)
	return &papertapev1.Trade{
		Id: fmt.Sprintf("%d-%d", account, seq), Side: papertapev1.Side(t.Side), Market: i.Market, Code: i.Code,
		Name: i.Name, Quantity: t.Quantity, Price: t.Price, Amount: t.Amount, Fees: t.Fees,
		Origin: papertapev1.Origin(t.Origin), ClientOrderId: t.OrderID.String(), Revision: t.Revision,
	}
}

func wireBust(account uint64, b *positions.Bust, u *market.Universe) *papertapev1.Bust {
	m := &papertapev1.Bust{
		TradeId: fmt.Sprintf("%d-%d", account, b.TradeSeq), Reason: b.Reason, Actor: b.Actor, BustId: b.ID,
		Original: wireTrade(account, b.TradeSeq, &b.Original, u),
	}
	if b.Replacement != nil {
		m.Replacement = wireTrade(account, b.TradeSeq, b.Replacement, u)
	}
	for _, seq := range b.Cascade {
		m.Cascade = append(m.Cascade, fmt.Sprintf("%d-%d", account, seq))
	}
	return m
}

func wirePositions(rows []positions.Position, u *market.Universe) []*papertapev1.Position {
	var wired []*papertapev1.Position
	for _, p := range rows {
		i := u.At(p.Instrument)
		wired = append(wired, &papertapev1.Position{
			Market: i.Market, Code: i.Code, Name: i.Name, Quantity: p.Quantity, Sellable: p.Sellable, Price: p.Price,
			MarketValue: slowProduct(p.Quantity, p.Price), Cost: p.Cost, Realised: p.Realised, RowVersion: p.Version,
		})
	}
	return wired
}

func slowProduct(a, b int64) int64 {
	product := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
	switch {
	case product.IsInt64():
		return product.Int64()
	case product.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

func wireCash(c positions.Cash) *papertapev1.Cash {
	return &papertapev1.Cash{Balance: c.Balance, FeesPaid: c.FeesPaid, Realised: c.Realised}
}

func wireHoldings(h *positions.Holdings, u *market.Universe) *papertapev1.Holdings {
	return &papertapev1.Holdings{
		Account: h.Account, AsOfSeq: h.Seq, Positions: wirePositions(h.Positions, u),
		TotalMarketValue: h.TotalMarketValue, Cash: wireCash(h.Cash), StateHash: h.Hash,
	}
}

// Generators. Numbers have all sizes and signs, including zero, even if no book could
// produce them.

var (
	anyUint = rapid.OneOf(rapid.Uint64Max(200), rapid.Uint64())
	anyInt  = rapid.OneOf(rapid.Int64Range(-3, 200), rapid.Int64())
	anyID   = rapid.Map(rapid.IntRange(0, universe.Len()-1), func(n int) market.ID { return market.ID(n) })
)

func drawTrade(t *rapid.T, label string) positions.Trade {
	orderID, _ := positions.MakeOrderID([]byte(rapid.StringMatching(`[ -~]{0,64}`).Draw(t, label+" order id")))
	return positions.Trade{
		Quantity: anyInt.Draw(t, label+" quantity"), Price: anyInt.Draw(t, label+" price"),
		Amount: anyInt.Draw(t, label+" amount"), Fees: anyInt.Draw(t, label+" fees"),
		Revision:   rapid.Uint32().Draw(t, label+" revision"),
		Instrument: anyID.Draw(t, label+" instrument"),
		Side:       positions.Side(rapid.IntRange(0, 2).Draw(t, label+" side")),
		Origin:     positions.Origin(rapid.IntRange(0, 3).Draw(t, label+" origin")),
		OrderID:    orderID,
	}
}

func drawPosition(t *rapid.T) positions.Position {
	return positions.Position{
		Row: positions.Row{
			Quantity: anyInt.Draw(t, "quantity"), Cost: anyInt.Draw(t, "cost"), Realised: anyInt.Draw(t, "realised"),
			Version: anyUint.Draw(t, "version"), Instrument: anyID.Draw(t, "instrument"),
		},
		Sellable: anyInt.Draw(t, "sellable"), Price: anyInt.Draw(t, "price"),
	}
}

func drawCash(t *rapid.T) positions.Cash {
	return positions.Cash{
		Balance: anyInt.Draw(t, "balance"), FeesPaid: anyInt.Draw(t, "fees paid"), Realised: anyInt.Draw(t, "realised"),
	}
}

func drawEvent(t *rapid.T) *positions.Event {
	ev := &positions.Event{
		Account: anyUint.Draw(t, "account"), Seq: anyUint.Draw(t, "seq"), Time: anyInt.Draw(t, "time"),
		Cash: drawCash(t), TotalMarketValue: anyInt.Draw(t, "total"),
		Kind:   positions.Kind(rapid.IntRange(1, 4).Draw(t, "kind")),
		Change: positions.Change(rapid.IntRange(0, 5).Draw(t, "change")),
	}
	text := rapid.StringN(0, 100, 400)
	switch ev.Kind {
	case positions.KindTrade:
		ev.Trade, ev.Position = drawTrade(t, "trade"), drawPosition(t)
	case positions.KindBust:
		ev.Bust = &positions.Bust{
			TradeSeq: anyUint.Draw(t, "trade seq"), Reason: text.Draw(t, "reason"), Actor: text.Draw(t, "actor"),
			ID: text.Draw(t, "bust id"), Original: drawTrade(t, "original"),
			Cascade:   rapid.SliceOfN(anyUint, 0, 5).Draw(t, "cascade"),
			Positions: rapid.SliceOfN(rapid.Custom(drawPosition), 0, 5).Draw(t, "positions"),
		}
		if rapid.Bool().Draw(t, "corrected") {
			replacement := drawTrade(t, "replacement")
			ev.Bust.Replacement = &replacement
		}
	case positions.KindAdjustment:
		ev.Adjustment = &positions.Adjustment{
			Cash: anyInt.Draw(t, "booking"), Reason: text.Draw(t, "reason"), Actor: text.Draw(t, "actor"),
		}
	case positions.KindReset:
		ev.Reset = &positions.Reset{
			Cash: anyInt.Draw(t, "cash afterwards"), Reason: text.Draw(t, "reason"), Actor: text.Draw(t, "actor"),
			ID: text.Draw(t, "id"), Gone: rapid.SliceOfN(anyID, 0, 5).Draw(t, "gone"),
		}
	}
	return ev
}

// drawPayload draws the fields of a message like m, and others with nearby numbers, in any
// order. It includes repeated and unknown fields, wrong wire types, values out of range,
// padded varints and invalid text. Sometimes it cuts the payload short.
func drawPayload(t *rapid.T, m proto.Message) []byte {
	known := m.ProtoReflect().Descriptor().Fields()
	var payload []byte
	for range rapid.IntRange(0, 10).Draw(t, "fields") {
		num := protowire.Number(rapid.IntRange(1, known.Len()+2).Draw(t, "number"))
		typ := rapid.SampledFrom([]protowire.Type{0, 1, 2, 3, 5}).Draw(t, "wire type")
		if f := known.ByNumber(num); f != nil && rapid.IntRange(0, 19).Draw(t, "right type") > 0 {
			typ = wireTypes[f.Kind()]
		}
		payload = protowire.AppendTag(payload, num, typ)
		switch typ {
		case protowire.VarintType:
			payload = protowire.AppendVarint(payload, rapid.OneOf(rapid.Uint64Max(5), rapid.Uint64()).Draw(t, "varint"))
			if pad := rapid.IntRange(0, 9).Draw(t, "padding"); pad == 0 {
				payload[len(payload)-1] |= 0x80
				payload = append(payload, 0)
			}
		case protowire.Fixed64Type:
			payload = protowire.AppendFixed64(payload, rapid.Uint64().Draw(t, "fixed64"))
		case protowire.Fixed32Type:
			payload = protowire.AppendFixed32(payload, rapid.Uint32().Draw(t, "fixed32"))
		case protowire.StartGroupType:
			payload = protowire.AppendVarint(payload, protowire.EncodeTag(1, protowire.VarintType))
			payload = append(payload, 1)
			payload = protowire.AppendTag(payload, num, protowire.EndGroupType)
		case protowire.BytesType:
			payload = protowire.AppendBytes(payload, drawBytes(t))
		}
	}
	if rapid.IntRange(0, 9).Draw(t, "cut short") == 0 {
		payload = payload[:rapid.IntRange(0, len(payload)).Draw(t, "length")]
	}
	return payload
}

func drawBytes(t *rapid.T) []byte {
	switch rapid.IntRange(0, 19).Draw(t, "kind of text") {
	case 0:
		return rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "bytes")
	case 1, 2, 3:
		return []byte(rapid.StringN(0, 70, 200).Draw(t, "text"))
	case 4, 5, 6:
		spellings := []string{"SH.600519", "600519.XSHG", "SZ.000001", "SH 600036"}
		return []byte(rapid.SampledFrom(spellings).Draw(t, "spelling"))
	case 7, 8, 9, 10, 11, 12:
		return []byte(rapid.SampledFrom([]string{"SH", "XSHG", "SZ", "XSHE"}).Draw(t, "market"))
	}
	return []byte(rapid.SampledFrom([]string{
		"600519", "600036", "000001", "300750", "2026-01-05", "2026-12-31",
	}).Draw(t, "code"))
}

var wireTypes = map[protoreflect.Kind]protowire.Type{
	protoreflect.Uint64Kind: protowire.VarintType, protoreflect.Int64Kind: protowire.VarintType,
	protoreflect.Uint32Kind: protowire.VarintType, protoreflect.BoolKind: protowire.VarintType,
	protoreflect.EnumKind: protowire.VarintType, protoreflect.Fixed64Kind: protowire.Fixed64Type,
	protoreflect.StringKind: protowire.BytesType, protoreflect.BytesKind: protowire.BytesType,
}

// instrument returns the ID of an instrument of the shipped universe.
func instrument(t failer, marketName, code string) market.ID {
	t.Helper()
	id, ok := universe.Lookup([]byte(marketName), []byte(code))
	if !ok {
		t.Fatalf("%s.%s is not in the universe", marketName, code)
	}
	return id
}
