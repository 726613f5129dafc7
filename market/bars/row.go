package bars

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/papertape/papertape/market"
)

// row is a bar as it is kept. Its Time is 0, and the key stands for it: the number of its minute since 1970,
// or of its trading day.
type row struct {
	market.Bar
	key int32
}

// newRow begins a bar with a trade.
func newRow(key int32, u *market.Update) row {
	r := row{key: key, Bar: market.Bar{Open: u.Last, High: u.Last, Low: u.Last}}
	r.trade(u)
	return r
}

// trade adds a trade.
func (r *row) trade(u *market.Update) {
	r.High, r.Low, r.Close = max(r.High, u.Last), min(r.Low, u.Last), u.Last
	r.Volume, r.Amount = sum(r.Volume, u.Size), sum(r.Amount, product(u.Last, u.Size))
	r.Trades = uint32(min(uint64(r.Trades)+1, math.MaxUint32)) //nolint:gosec // bounded
}

// join adds a bar that follows.
func (r *row) join(next *row) {
	r.High, r.Low, r.Close = max(r.High, next.High), min(r.Low, next.Low), next.Close
	r.Volume, r.Amount = sum(r.Volume, next.Volume), sum(r.Amount, next.Amount)
	r.Trades = uint32(min(uint64(r.Trades)+uint64(next.Trades), math.MaxUint32)) //nolint:gosec // bounded
}

// sum and product are of numbers that are not negative, and at most MaxInt64.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func product(a, b int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b)) //nolint:gosec // not negative
	if high > 0 || low > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(low)
}

// rowBytesMax is the most that a row takes: eight numbers.
const rowBytesMax = 8 * binary.MaxVarintLen64

// appendRow appends a row, as its difference from the one before; the first follows the zero row. Most take
// 12 to 20 bytes.
func appendRow(dst []byte, before, r *row) []byte {
	dst = binary.AppendVarint(dst, int64(r.key)-int64(before.key))
	dst = binary.AppendVarint(dst, r.Open-before.Close)
	dst = binary.AppendVarint(dst, r.Close-r.Open)
	dst = binary.AppendUvarint(dst, uint64(r.High-max(r.Open, r.Close))) //nolint:gosec // not negative
	dst = binary.AppendUvarint(dst, uint64(min(r.Open, r.Close)-r.Low))  //nolint:gosec // not negative
	dst = binary.AppendUvarint(dst, uint64(r.Volume))                    //nolint:gosec // not negative
	dst = binary.AppendVarint(dst, r.Amount-r.Close*r.Volume)            // it may wrap, and wraps back
	return binary.AppendUvarint(dst, uint64(r.Trades))
}

// reader reads numbers from bytes.
type reader struct {
	rest []byte
	bad  bool // a number was cut off or too large
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1) //nolint:gosec // zigzag
}

// row reads a row that follows before.
func (r *reader) row(before *row) (next row) {
	next.key = int32(int64(before.key) + r.varint()) //nolint:gosec // appendRow's difference of two of them
	next.Open = before.Close + r.varint()
	next.Close = next.Open + r.varint()
	next.High = max(next.Open, next.Close) + int64(r.uvarint()) //nolint:gosec // valid looks at it
	next.Low = min(next.Open, next.Close) - int64(r.uvarint())  //nolint:gosec // valid looks at it
	next.Volume = int64(r.uvarint())                            //nolint:gosec // valid looks at it
	next.Amount = next.Close*next.Volume + r.varint()
	next.Trades = uint32(r.uvarint()) //nolint:gosec // appendRow's
	return next
}

// valid reports whether a row from a file is possible.
func (r *row) valid() bool {
	price := func(p int64) bool { return p > 0 && p <= market.MaxPrice }
	return price(r.Open) && price(r.Close) && price(r.High) && price(r.Low) &&
		r.High >= max(r.Open, r.Close) && r.Low <= min(r.Open, r.Close) && r.Volume >= 0 && r.Amount >= 0 &&
		r.Trades > 0
}
