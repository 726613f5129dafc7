package positions

// MakeOrderID makes an OrderID of a copy of b. It is false unless b is 1 to 64 bytes of printable ASCII (0x20 to 0x7e).
// It does not allocate.
func MakeOrderID(b []byte) (OrderID, bool) {
	var id OrderID
	if len(b) == 0 || len(b) > MaxOrderIDBytes {
		return id, false
	}
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return id, false
		}
	}
	id.n = uint8(copy(id.b[:], b))
	return id, true
}

// Bytes are the id's bytes, of which the caller must change none; empty where there is no id. They are part of o and
// live as long.
func (o *OrderID) Bytes() []byte { return o.b[:o.n:o.n] }

// String is the id as a string; empty where there is none.
func (o OrderID) String() string { return string(o.b[:o.n]) }

// IsZero says that there is no id.
func (o *OrderID) IsZero() bool { return o.n == 0 }
