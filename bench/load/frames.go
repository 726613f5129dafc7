package load

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// Every order is for this instrument and quantity. SZ 000001 opens at 10.00, and every
// account has cash for many such orders.
const (
	orderMarket   = "SZ"
	orderCode     = "000001"
	orderQuantity = 100
)

// kind is the kind of a request.
type kind uint8

const (
	kindBuy kind = iota
	kindSell
	kindQuery
	kinds
)

func (k kind) String() string { return [...]string{"buy", "sell", "query"}[k] }

// requestFrames returns a frame of each kind with id 0, so that sending one is a copy and
// eight bytes.
func requestFrames() (frames [kinds][]byte) {
	order := func(side papertapev1.Side) []byte {
		return codec.Append(nil, codec.TypeOrder, 0, 0,
			&papertapev1.Order{Side: side, Market: orderMarket, Code: orderCode, Quantity: orderQuantity})
	}
	frames[kindBuy] = order(papertapev1.Side_SIDE_BUY)
	frames[kindSell] = order(papertapev1.Side_SIDE_SELL)
	frames[kindQuery] = codec.Append(nil, codec.TypeHoldings, 0, 0, &papertapev1.HoldingsRequest{})
	return frames
}

// appendRequest appends a frame with its id set.
func appendRequest(dst, frame []byte, id uint64) []byte {
	start := len(dst)
	dst = append(dst, frame...)
	binary.BigEndian.PutUint64(dst[start+8:], id)
	return dst
}

// event holds the fields of an AccountEvent that are checked.
type event struct {
	account, seq uint64
	time         int64
	traded       int64 // shares of the ordered instrument: positive if bought, negative if sold
	ours         bool  // it is a trade of the ordered instrument
	held         int64 // shares in the row after it
}

// decodeHead decodes the account, sequence and time of an AccountEvent, which our servers
// write as its first three fields. decodeEvent handles any other order.
func decodeHead(p []byte, e *event) bool {
	rest := p
	for num, to := range [...]*uint64{&e.account, &e.seq} {
		if len(rest) < 2 || rest[0] != byte(num+1)<<3 {
			return decodeEvent(p, e)
		}
		v, n := binary.Uvarint(rest[1:])
		if n <= 0 {
			return false
		}
		*to, rest = v, rest[1+n:]
	}
	if len(rest) < 2 || rest[0] != 3<<3 {
		return decodeEvent(p, e)
	}
	v, n := binary.Uvarint(rest[1:])
	e.time = int64(v)
	return n > 0
}

// field is one field of a protobuf message.
type field struct {
	num   byte
	value uint64
	data  []byte
}

// nextField takes a field off p. No field number of the contract exceeds 15, so a tag is one
// byte.
func nextField(p []byte, f *field) (rest []byte, ok bool) {
	tag := p[0]
	f.num = tag >> 3
	p = p[1:]
	switch protowire.Type(tag & 7) {
	case protowire.VarintType:
		v, n := binary.Uvarint(p)
		if n <= 0 {
			return nil, false
		}
		f.value = v
		return p[n:], true
	case protowire.BytesType:
		if len(p) > 0 && int(p[0]) < min(0x80, len(p)) { // the length is one byte, as it usually is
			f.data = p[1 : 1+p[0]]
			return p[1+p[0]:], true
		}
		v, n := binary.Uvarint(p)
		if n <= 0 || v > uint64(len(p)-n) {
			return nil, false
		}
		f.data = p[n : n+int(v)]
		return p[n+int(v):], true
	case protowire.Fixed64Type:
		if len(p) < 8 {
			return nil, false
		}
		f.value = binary.LittleEndian.Uint64(p)
		return p[8:], true
	}
	return nil, false
}

// decodeEvent decodes an AccountEvent, and returns false if it does not parse. In a trade
// and in a row it stops after the last field that matters, since all servers write fields
// in the order of their numbers. Decoding is most of the generator's work, and the
// generator shares the processors with the server.
func decodeEvent(p []byte, e *event) bool {
	*e = event{}
	var f field
	var row, trade event
	for len(p) > 0 {
		var ok bool
		if p, ok = nextField(p, &f); !ok {
			return false
		}
		switch f.num {
		case 1:
			e.account = f.value
		case 2:
			e.seq = f.value
		case 3:
			e.time = int64(f.value)
		case 4:
			ok = decodeTrade(f.data, &trade)
		case 8:
			ok = decodeRow(f.data, &row)
		}
		if !ok {
			return false
		}
	}
	e.ours, e.traded, e.held = trade.ours && row.ours, trade.traded, row.held
	return true
}

// decodeTrade decodes a Trade of the ordered instrument; other trades leave e unchanged.
func decodeTrade(p []byte, e *event) bool {
	var f field
	var side papertapev1.Side
	var quantity int64
	var market, code []byte
	for len(p) > 0 && f.num < 6 {
		var ok bool
		if p, ok = nextField(p, &f); !ok {
			return false
		}
		switch f.num {
		case 2:
			side = papertapev1.Side(f.value)
		case 3:
			market = f.data
		case 4:
			code = f.data
		case 6:
			quantity = int64(f.value)
		}
	}
	if string(market) != orderMarket || string(code) != orderCode {
		return true
	}
	if side == papertapev1.Side_SIDE_SELL {
		quantity = -quantity
	}
	e.ours, e.traded = true, quantity
	return true
}

// decodeRow decodes a Position of the ordered instrument; others leave e unchanged.
func decodeRow(p []byte, e *event) bool {
	var f field
	var quantity int64
	var market, code []byte
	for len(p) > 0 && f.num < 4 {
		var ok bool
		if p, ok = nextField(p, &f); !ok {
			return false
		}
		switch f.num {
		case 1:
			market = f.data
		case 2:
			code = f.data
		case 4:
			quantity = int64(f.value)
		}
	}
	if string(market) == orderMarket && string(code) == orderCode {
		e.ours, e.held = true, quantity
	}
	return true
}

// decodeHoldings decodes the account, the sequence, and the shares held of the ordered
// instrument.
func decodeHoldings(p []byte, e *event) bool {
	*e = event{}
	var f field
	for len(p) > 0 {
		var ok bool
		if p, ok = nextField(p, &f); !ok {
			return false
		}
		switch f.num {
		case 1:
			e.account = f.value
		case 2:
			e.seq = f.value
		case 3:
			if !decodeRow(f.data, e) {
				return false
			}
		}
	}
	return true
}
