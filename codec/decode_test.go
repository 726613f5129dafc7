package codec_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/usertext"
)

// The checks below compare a decoder with the protobuf runtime, for arbitrary payloads. The
// decoder must accept exactly the payloads that parse and are in range, with the same
// values. It must not reference the payload, which is overwritten before comparing.

func checkOrder(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.Order)
	ok := parses(payload, m)
	before := positions.Order{Account: 7, Quantity: -5, Limit: -6, Instrument: 3, Side: 9,
		Origin: positions.OriginClient}
	got := before
	b := bytes.Clone(payload)
	err := codec.DecodeOrder(b, universe, &got)
	clear(b)
	if err != nil && got != before {
		t.Fatalf("DecodeOrder failed with %v and left %+v", err, got)
	}
	instrument, known := universe.Lookup([]byte(m.GetMarket()), []byte(m.GetCode()))
	id, idOK := positions.MakeOrderID([]byte(m.GetClientOrderId()))
	switch {
	case !ok:
		checkRefused(t, err, malformed, true)
	case m.GetSide() != 1 && m.GetSide() != 2:
		checkRefused(t, err, malformed, false)
	case !known:
		checkRefused(t, err, unknown, false)
	case !idOK && m.GetClientOrderId() != "":
		checkRefused(t, err, malformed, false)
	case err != nil:
		t.Fatalf("DecodeOrder of %v: %v", m, err)
	default:
		want := positions.Order{
			Account: 7, Origin: positions.OriginClient, Side: positions.Side(m.GetSide()), Instrument: instrument,
			Quantity: m.GetQuantity(), Limit: m.GetLimitPrice(), ID: id,
		}
		if got != want {
			t.Fatalf("DecodeOrder = %+v, want %+v", got, want)
		}
	}
}

func checkLogin(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.Login)
	ok := parses(payload, m)
	b := bytes.Clone(payload)
	got, err := codec.DecodeLogin(b)
	clear(b)
	switch {
	case !ok:
		checkRefused(t, err, malformed, true)
	case m.GetClient() != "" && usertext.CheckLine(m.GetClient(), 64) != nil, m.GetMode() < 0, m.GetMode() > 4:
		checkRefused(t, err, malformed, false)
	case err != nil:
		t.Fatalf("DecodeLogin of %v: %v", m, err)
	default:
		if m.Mode == papertapev1.ResumeMode_RESUME_MODE_UNSPECIFIED {
			m.Mode = papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT
		}
		again := &papertapev1.Login{
			Account: got.Account, Mode: got.Mode, LastSeq: got.LastSeq, Epoch: got.Epoch, Client: got.Client,
			KeyId: got.KeyID, ClientNonce: got.ClientNonce, Proof: got.Proof,
		}
		m.ProtoReflect().SetUnknown(nil)
		if !proto.Equal(again, m) {
			t.Fatalf("DecodeLogin = %v, want %v", again, m)
		}
	}
}

func checkPing(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.Ping)
	ok := parses(payload, m)
	got, err := codec.DecodePing(payload)
	checkPlain(t, ok, err, got, m.GetHeadSeq())
}

func checkHistory(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.HistoryRequest)
	ok := parses(payload, m)
	want := codec.HistoryRequest{BeforeSeq: m.GetBeforeSeq(), Limit: 20}
	if m.GetLimit() > 0 {
		want.Limit = int(min(m.GetLimit(), 100))
	}
	got, err := codec.DecodeHistoryRequest(payload)
	checkPlain(t, ok, err, got, want)
}

func checkHoldings(t failer, payload []byte) {
	t.Helper()
	ok := parses(payload, new(papertapev1.HoldingsRequest))
	checkPlain(t, ok, codec.DecodeHoldingsRequest(payload), 0, 0)
}

func checkSubscribe(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.Subscribe)
	ok := parses(payload, m)
	b := bytes.Clone(payload)
	got, err := codec.DecodeSubscribe(b, universe)
	clear(b)
	want := codec.Subscribe{Quotes: m.GetQuotes(), Presence: m.GetPresence(), Detail: m.GetDetail()}
	allKnown := true
	for _, code := range m.GetCodes() {
		id, err := universe.Parse(code)
		allKnown = allKnown && err == nil
		want.Codes = append(want.Codes, id)
	}
	slices.Sort(want.Codes)
	want.Codes = slices.Compact(want.Codes)
	switch {
	case !ok:
		checkRefused(t, err, malformed, true)
	case !allKnown:
		checkRefused(t, err, unknown, false)
	case err != nil:
		t.Fatalf("refused with %v, want %v", err, want)
	case !reflect.DeepEqual(got, want):
		t.Fatalf("got %v, want %v", got, want)
	}
}

// checkPlain checks requests for which everything that parses is in range.
func checkPlain[V comparable](t failer, parses bool, err error, got, want V) {
	t.Helper()
	switch {
	case !parses:
		checkRefused(t, err, malformed, true)
	case err != nil:
		t.Fatalf("refused with %v, want %v", err, want)
	case got != want:
		t.Fatalf("got %v, want %v", got, want)
	}
}

func checkInstruments(t failer, payload []byte) {
	t.Helper()
	m := new(papertapev1.InstrumentsRequest)
	ok := parses(payload, m)
	got, err := codec.DecodeInstrumentsRequest(payload, universe)
	var want []market.ID
	allKnown := true
	for _, code := range m.GetCodes() {
		id, err := universe.Parse(code)
		allKnown = allKnown && err == nil
		want = append(want, id)
	}
	badAfter := false
	if len(want) == 0 {
		name, code, point := strings.Cut(m.GetAfter(), ".")
		short, _, known := market.Canonical(name)
		badAfter = m.GetAfter() != "" && (!point || !known || code == "")
		for n := range universe.Len() {
			if in := universe.At(market.ID(n)); m.GetAfter() == "" || in.Market > short ||
				in.Market == short && in.Code > code {
				want = append(want, market.ID(n))
			}
		}
	}
	switch {
	case !ok:
		checkRefused(t, err, malformed, true)
	case len(want) > 500, badAfter:
		checkRefused(t, err, malformed, false)
	case !allKnown:
		checkRefused(t, err, unknown, false)
	case err != nil:
		t.Fatalf("refused with %v, want %v", err, want)
	case !slices.Equal(got.IDs, want) || got.More:
		t.Fatalf("got %v, want %v", got, want)
	}
}

// requests are all requests that a server decodes.
var requests = []struct {
	typ     codec.Type
	message proto.Message
	check   func(t failer, payload []byte)
}{
	{codec.TypeOrder, &papertapev1.Order{}, checkOrder},
	{codec.TypeLogin, &papertapev1.Login{}, checkLogin},
	{codec.TypePing, &papertapev1.Ping{}, checkPing},
	{codec.TypeHistory, &papertapev1.HistoryRequest{}, checkHistory},
	{codec.TypeHoldings, &papertapev1.HoldingsRequest{}, checkHoldings},
	{codec.TypeInstruments, &papertapev1.InstrumentsRequest{}, checkInstruments},
	{codec.TypeSubscribe, &papertapev1.Subscribe{}, checkSubscribe},
	{codec.TypeBars, &papertapev1.BarsRequest{}, checkBars},
	{codec.TypeTrades, &papertapev1.TradesRequest{}, checkTrades},
	{codec.TypeClock, &papertapev1.ClockRequest{}, checkClock},
	{codec.TypeCalendar, &papertapev1.CalendarRequest{}, checkCalendar},
}

func TestDecodersAgreeWithProtobuf(t *testing.T) {
	for _, r := range requests {
		t.Run(r.typ.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { r.check(t, drawPayload(t, r.message)) })
		})
	}
}

// TestDecodeOrderOfEncoded covers valid orders, which random fields rarely produce.
func TestDecodeOrderOfEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := universe.At(anyID.Draw(t, "instrument"))
		payload := marshal(t, &papertapev1.Order{
			Side: papertapev1.Side(rapid.IntRange(1, 2).Draw(t, "side")), Market: i.Market, Code: i.Code,
			Quantity: anyInt.Draw(t, "quantity"), LimitPrice: anyInt.Draw(t, "limit"),
			ClientOrderId: rapid.StringMatching(`[ -~]{0,64}`).Draw(t, "id"),
		})
		if err := codec.DecodeOrder(payload, universe, new(positions.Order)); err != nil {
			t.Fatalf("refused: %v", err)
		}
		checkOrder(t, payload)
	})
}

// TestBadEncoding gives every decoder encodings that random fields never produce. All must
// be refused as fatal.
func TestBadEncoding(t *testing.T) {
	bad := map[string][]byte{
		"field number 0":              {0x00, 0x01},
		"field number 2^29":           append(protowire.AppendVarint(nil, 1<<29<<3), 1),
		"field number 1 + 2^32":       append(protowire.AppendVarint(nil, (1+1<<32)<<3), 1),
		"tag cut short":               {0x80},
		"tag of 11 bytes":             append(bytes.Repeat([]byte{0x80}, 10), 0),
		"varint cut short":            {0x78, 0x80},
		"varint of 65 bits":           append([]byte{0x78}, append(bytes.Repeat([]byte{0xff}, 9), 2)...),
		"varint of 11 bytes":          append([]byte{0x78}, append(bytes.Repeat([]byte{0x80}, 10), 0)...),
		"length past the end":         {0x7a, 0x02, 0x00},
		"length past int64":           append([]byte{0x7a}, protowire.AppendVarint(nil, 1<<63)...),
		"fixed64 cut short":           {0x79, 0, 0, 0, 0, 0, 0, 0},
		"fixed32 cut short":           {0x7d, 0, 0, 0},
		"group left open":             {0x7b},
		"group ended as another":      {0x7b, 0x74},
		"group ended without a start": {0x7c},
		"wire type 6":                 {0x7e},
		"wire type 7":                 {0x7f, 0x00},
	}
	for name, payload := range bad {
		for _, r := range requests {
			t.Run(name+"/"+r.typ.String(), func(t *testing.T) {
				if parses(payload, proto.Clone(r.message)) {
					t.Fatal("the reference takes it")
				}
				r.check(t, payload)
			})
		}
	}
}

func TestDecodeOrderSentences(t *testing.T) {
	long := strings.Repeat("贵", 500)
	for _, test := range []struct {
		name  string
		order *papertapev1.Order
		code  papertapev1.RejectCode
		says  []string
	}{
		{"side 0", &papertapev1.Order{Market: "SH", Code: "600519", Quantity: 1}, malformed,
			[]string{"side is 0", "1 (buy)"}},
		{"side 3", &papertapev1.Order{Side: 3, Market: "SH", Code: "600519"}, malformed,
			[]string{"side is 3", "2 (sell)"}},
		{"side -1", &papertapev1.Order{Side: -1, Market: "SH", Code: "600519"}, malformed, []string{"side is -1"}},
		{"unknown", &papertapev1.Order{Side: 1, Market: "SH", Code: "999999"}, unknown,
			[]string{`market "SH" and code "999999"`, `like market "SH", code "600519"`}},
		{"none", &papertapev1.Order{Side: 1}, unknown, []string{`market "" and code ""`}},
		{"control characters", &papertapev1.Order{Side: 1, Market: "\x00\n", Code: "\x1b[2J"}, unknown,
			[]string{`market "\x00\n" and code "\x1b[2J"`}},
		{"long", &papertapev1.Order{Side: 1, Market: long, Code: "x" + long}, unknown, []string{`贵"… and`}},
		{"id too long", &papertapev1.Order{Side: 1, Market: "SH", Code: "600519",
			ClientOrderId: strings.Repeat("x", 65)},
			malformed, []string{"client_order_id", "65 bytes", "1 to 64"}},
		{"id not ASCII", &papertapev1.Order{Side: 1, Market: "SH", Code: "600519", ClientOrderId: "é"},
			malformed, []string{"client_order_id", "printable ASCII"}},
		{"id with a tab", &papertapev1.Order{Side: 1, Market: "SH", Code: "600519", ClientOrderId: "a\tb"},
			malformed, []string{`"a\tb"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := codec.DecodeOrder(marshal(t, test.order), universe, new(positions.Order))
			checkRefused(t, err, test.code, false)
			for _, part := range test.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

// TestSentencesOfWhatDoesNotParse checks that the sentences name the request and the
// position.
func TestSentencesOfWhatDoesNotParse(t *testing.T) {
	_, err := codec.DecodeLogin([]byte{0x0a, 0x00})
	checkRefused(t, err, malformed, true)
	checkSentence(t, err, "LOGIN", "field 1", "wire type 2")
	_, err = codec.DecodeLogin([]byte{0x2a, 0x01, 0xff})
	checkRefused(t, err, malformed, true)
	checkSentence(t, err, "field 5", "UTF-8")
	err = codec.DecodeHoldingsRequest([]byte{0x08, 0x01, 0x08})
	checkRefused(t, err, malformed, true)
	checkSentence(t, err, "HOLDINGS", "0 bytes before its end")
}

func checkSentence(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestDecodeLoginBounds(t *testing.T) {
	login := func(mode int32, client string) error {
		_, err := codec.DecodeLogin(marshal(t, &papertapev1.Login{Mode: papertapev1.ResumeMode(mode), Client: client}))
		return err
	}
	for mode := range int32(5) {
		if err := login(mode, strings.Repeat("x", 64)); err != nil {
			t.Errorf("mode %d with a name of 64 bytes: %v", mode, err)
		}
	}
	for _, mode := range []int32{5, -1, 1 << 30} {
		err := login(mode, "")
		checkRefused(t, err, malformed, false)
		checkSentence(t, err, fmt.Sprintf("mode is %d", mode), "1 (snapshot)")
	}
	err := login(1, strings.Repeat("x", 65))
	checkRefused(t, err, malformed, false)
	checkSentence(t, err, "it has 65", "1 to 64 bytes")
	for client, want := range map[string]string{
		"papertape\u202e1": "U+202E", "a\nb": "U+000A", " ": "it is blank",
		"name ": "neither begin nor end with a blank", "\u200b": "U+200B",
	} {
		err := login(1, client)
		checkRefused(t, err, malformed, false)
		checkSentence(t, err, "the client's name ", want)
	}
}

func TestDecodeInstrumentsBounds(t *testing.T) {
	ask := func(codes ...string) ([]market.ID, error) {
		r, err := codec.DecodeInstrumentsRequest(marshal(t, &papertapev1.InstrumentsRequest{Codes: codes}), universe)
		return r.IDs, err
	}
	many := make([]string, 500)
	for n := range many {
		many[n] = "SH.600519"
	}
	ids, err := ask(many...)
	if err != nil || len(ids) != 500 || ids[499] != instrument(t, "SH", "600519") {
		t.Errorf("500 codes: %d, %v", len(ids), err)
	}
	_, err = ask(append(many, "SH.600519")...)
	checkRefused(t, err, malformed, false)
	checkSentence(t, err, "501", "at most 500")
	_, err = ask("SH.600519", "SH.999999")
	checkRefused(t, err, unknown, false)
	checkSentence(t, err, "999999")
	_, err = ask(strings.Repeat("貴", 400))
	checkRefused(t, err, unknown, false)
}

func TestDecodingDoesNotAllocate(t *testing.T) {
	payload := marshal(t, sampleOrder())
	var order positions.Order
	if n := testing.AllocsPerRun(100, func() {
		if err := codec.DecodeOrder(payload, universe, &order); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("DecodeOrder: %v allocations, want 0", n)
	}
	if order.ID.String() != sampleOrder().GetClientOrderId() {
		t.Errorf("the order's id is %q", order.ID)
	}
	ping := marshal(t, &papertapev1.Ping{HeadSeq: 300})
	if n := testing.AllocsPerRun(100, func() {
		if head, err := codec.DecodePing(ping); head != 300 || err != nil {
			t.Fatal(head, err)
		}
	}); n != 0 {
		t.Errorf("DecodePing: %v allocations, want 0", n)
	}
}
