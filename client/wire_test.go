package client

import (
	"fmt"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// fill sets every field of a message, including fields of lists and nested messages. Of a oneof
// it sets the field that is named.
func fill(t *testing.T, m protoreflect.Message, one protoreflect.Name) {
	t.Helper()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.ContainingOneof() != nil && f.Name() != one {
			continue
		}
		switch {
		case f.IsList() && f.Message() != nil:
			fill(t, m.Mutable(f).List().AppendMutable().Message(), one)
		case f.IsList():
			m.Mutable(f).List().Append(protoreflect.ValueOfString("one of " + string(f.Name())))
		case f.Message() != nil:
			fill(t, m.Mutable(f).Message(), one)
		default:
			m.Set(f, valueFor(t, f, i+1))
		}
	}
}

// valueFor returns a value for a field that differs between the fields of a message.
func valueFor(t *testing.T, f protoreflect.FieldDescriptor, n int) protoreflect.Value {
	t.Helper()
	switch f.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(f.Name()))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(f.Name()))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(int64(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	}
	t.Fatalf("field %s is of a kind that this test does not know", f.FullName())
	return protoreflect.Value{}
}

// empty returns the names of the exported fields in v, nested ones included, that have their
// zero value.
func empty(v reflect.Value, path string) (names []string) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return []string{path}
		}
		return empty(v.Elem(), path)
	case reflect.Slice:
		if v.Len() == 0 {
			return []string{path}
		}
		return empty(v.Index(0), path)
	case reflect.Struct:
		if _, isTime := v.Interface().(fmt.Stringer); isTime {
			break
		}
		for i := range v.NumField() {
			names = append(names, empty(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
		return names
	}
	if v.IsZero() {
		return []string{path}
	}
	return nil
}

// No field of a message is lost in the conversion to a type of this package. That includes
// fields added in later versions.
func TestConversionsAreWhole(t *testing.T) {
	event := func(one protoreflect.Name) *Event {
		m := new(papertapev1.AccountEvent)
		fill(t, m.ProtoReflect(), one)
		return eventFrom(m)
	}
	filled := func(m proto.Message) proto.Message { fill(t, m.ProtoReflect(), ""); return m }
	flags := []string{".Replay", ".Execution"}
	for _, c := range []struct {
		got  any
		want []string // names of fields that stay empty
	}{
		{event("trade"), append([]string{".Bust", ".Adjustment", ".Reset"}, flags...)},
		{event("bust"), append([]string{".Trade", ".Adjustment", ".Reset"}, flags...)},
		{event("adjustment"), append([]string{".Trade", ".Bust", ".Reset"}, flags...)},
		{event("reset"), append([]string{".Trade", ".Bust", ".Adjustment"}, flags...)},
		{event("none"), append([]string{".Trade", ".Bust", ".Adjustment", ".Reset"}, flags...)},
		{holdingsFrom(filled(new(papertapev1.Holdings)).(*papertapev1.Holdings)), nil},
		{&instrumentsFrom(filled(new(papertapev1.Instruments)).(*papertapev1.Instruments))[0], nil},
		{&quotesFrom(filled(new(papertapev1.Quotes)).(*papertapev1.Quotes))[0], nil},
		{&barsFrom(filled(new(papertapev1.Bars)).(*papertapev1.Bars))[0], nil},
		{&tradesFrom(filled(new(papertapev1.Trades)).(*papertapev1.Trades))[0], nil},
		{clockFrom(filled(new(papertapev1.Clock)).(*papertapev1.Clock)), nil},
		{presenceFrom(filled(new(papertapev1.Presence)).(*papertapev1.Presence)), nil},
		{welcomeFrom(filled(new(papertapev1.Welcome)).(*papertapev1.Welcome)), nil},
		{loginReplyFrom(filled(new(papertapev1.LoginReply)).(*papertapev1.LoginReply)), nil},
		{rejectFrom(filled(new(papertapev1.Reject)).(*papertapev1.Reject)), nil},
		{goodbyeFrom(filled(new(papertapev1.Goodbye)).(*papertapev1.Goodbye)), nil},
	} {
		if got := empty(reflect.ValueOf(c.got), ""); !reflect.DeepEqual(got, c.want) {
			t.Errorf("of %T these fields are empty: %v, expected %v", c.got, got, c.want)
		}
	}
}

// Conversely, every field of a message has one in this package.
func TestConversionsHaveAFieldForEach(t *testing.T) {
	for _, c := range []struct {
		message     proto.Message
		value       any
		extraFields int // additional fields of the value
	}{
		{new(papertapev1.AccountEvent), Event{}, 2}, // Replay and Execution are flags of the frame
		{new(papertapev1.Trade), Trade{}, 0},
		{new(papertapev1.Bust), Bust{}, 0},
		{new(papertapev1.Adjustment), Adjustment{}, 0},
		{new(papertapev1.Reset), Reset{}, 0},
		{new(papertapev1.Position), Position{}, 0},
		{new(papertapev1.Cash), Cash{}, 0},
		{new(papertapev1.Holdings), Holdings{}, 0},
		{new(papertapev1.History), History{}, 0},
		{new(papertapev1.Order), Order{}, 0},
		{new(papertapev1.Instrument), Instrument{}, 0},
		{new(papertapev1.Quote), Quote{}, 0},
		{new(papertapev1.Bar), Bar{}, 0},
		{new(papertapev1.TapeTrade), TapeTrade{}, 0},
		{new(papertapev1.Clock), Clock{}, 0},
		{new(papertapev1.BarsRequest), BarsRequest{}, 0},
		{new(papertapev1.TradesRequest), TradesRequest{}, 0},
		{new(papertapev1.Presence), Presence{}, 0},
		{new(papertapev1.Welcome), Welcome{}, 0},
		{new(papertapev1.LoginReply), LoginReply{}, 0},
		{new(papertapev1.Reject), Reject{}, 0},
		{new(papertapev1.Goodbye), Goodbye{}, 0},
	} {
		fields := c.message.ProtoReflect().Descriptor().Fields().Len()
		if got := reflect.TypeOf(c.value).NumField(); got != fields+c.extraFields {
			t.Errorf("%T has %d fields, %T %d: expected %d", c.value, got, c.message, fields, fields+c.extraFields)
		}
	}
}

// The cursor and the orders are written as they were read.
func TestConversionsBack(t *testing.T) {
	holdings := new(papertapev1.Holdings)
	fill(t, holdings.ProtoReflect(), "")
	if got := holdingsFrom(holdings).message(); !proto.Equal(got, holdings) {
		t.Errorf("%v was written as %v", holdings, got)
	}
	want := new(papertapev1.Order)
	fill(t, want.ProtoReflect(), "")
	order := Order{
		Side: Side(want.GetSide()), Market: want.GetMarket(), Code: want.GetCode(), Quantity: want.GetQuantity(),
		LimitPrice: Money(want.GetLimitPrice()), ClientOrderID: want.GetClientOrderId(),
	}
	if got := order.message(); !proto.Equal(got, want) {
		t.Errorf("the order is sent as %v: expected %v", got, want)
	}
}

// An event of an unknown kind changes the state like any other and is returned by Next.
func TestEventOfAnUnknownKind(t *testing.T) {
	m := wireTrade(8)
	m.What = nil
	m.Change = 57
	payload, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	payload = append(payload, 99<<3&0x7f|0x80|2, 99>>4, 3, 'n', 'e', 'w') // field 99, which does not exist yet
	c := &Client{login: &LoginReply{Account: 7}, last: 7, stream: newStream(&State{Account: 7}),
		done: make(chan struct{})}
	if err := c.take(codec.Frame{Type: codec.TypeEvent, Payload: payload}); err != nil {
		t.Fatal(err)
	}
	ev, ok := c.stream.take().(*Event)
	if !ok || ev.Seq != 8 || ev.Trade != nil || ev.Bust != nil || ev.Adjustment != nil ||
		ev.Reset != nil ||
		ev.Change.String() != "Change(57)" {
		t.Errorf("the event is %+v", ev)
	}
	if s, _ := c.stream.current(); s.Seq != 8 || len(s.Positions) != 1 || s.Cash.Balance != 1_000_000*One {
		t.Errorf("the state is %+v", s)
	}
}

// Every value of the wire has its name here, and an unknown one prints its number.
func TestEnumerationNames(t *testing.T) {
	for _, c := range []struct{ got, want fmt.Stringer }{
		{Buy, text("BUY")}, {Sell, text("SELL")}, {ModeQuick, text("QUICK")}, {NoChange, text("UNSPECIFIED")},
		{OriginSimulator, text("SIMULATOR")}, {NotSellableToday, text("NOT_SELLABLE_TODAY")},
		{GoodbyeLoginTimeout, text("LOGIN_TIMEOUT")}, {MarketIsInAuction, text("AUCTION")}, {Side(9), text("Side(9)")},
		{ResumeMode(-1),
			text("ResumeMode(-1)")},
		{Change(57), text("Change(57)")}, {Origin(57), text("Origin(57)")}, {RejectCode(57), text("RejectCode(57)")},
		{GoodbyeReason(57), text("GoodbyeReason(57)")},
	} {
		if c.got.String() != c.want.String() {
			t.Errorf("%T %d is %v: expected %v", c.got, c.got, c.got, c.want)
		}
	}
	refused := rejectFrom(&papertapev1.Reject{Code: 57, Text: "of another time"})
	if want := "refused, RejectCode(57): of another time"; refused.Error() != want {
		t.Errorf("%q: expected %q", refused.Error(), want)
	}
}

type text string

func (s text) String() string { return string(s) }
