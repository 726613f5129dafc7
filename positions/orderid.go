package positions

// MakeOrderID copies b into an OrderID. It returns false unless b is 1 to 64 bytes of
// printable ASCII (0x20 to 0x7e). It does not allocate.
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

// Bytes returns the id's bytes, or an empty slice if there is no id. The slice points into
// o and must not be modified.
func (o *OrderID) Bytes() []byte { return o.b[:o.n:o.n] }

// String returns the id, or "" if there is none.
func (o OrderID) String() string { return string(o.b[:o.n]) }

// IsZero reports whether there is no id.
func (o *OrderID) IsZero() bool { return o.n == 0 }
