package positions

import (
	"bytes"
	"strings"
	"testing"
)

func TestMakeOrderID(t *testing.T) {
	for _, text := range []string{"a", "order 1", "~", strings.Repeat("x", MaxOrderIDBytes)} {
		id, ok := MakeOrderID([]byte(text))
		if !ok || id.String() != text || string(id.Bytes()) != text || id.IsZero() {
			t.Errorf("MakeOrderID(%q) = %q, %t", text, id, ok)
		}
	}
	for _, text := range []string{"", strings.Repeat("x", MaxOrderIDBytes+1), "a\n", "\x1f", "\x7f", "é"} {
		if id, ok := MakeOrderID([]byte(text)); ok || !id.IsZero() || len(id.Bytes()) != 0 {
			t.Errorf("MakeOrderID(%q) = %q, %t", text, id, ok)
		}
	}
}

func TestOrderIDIsACopy(t *testing.T) {
	b := []byte("order-1")
	id, _ := MakeOrderID(b)
	same, _ := MakeOrderID(bytes.Clone(b))
	b[0] = 'X'
	if id != same || id.String() != "order-1" {
		t.Errorf("the id became %s", id)
	}
	other, _ := MakeOrderID([]byte("order-"))
	if id == other {
		t.Error("a prefix is the same id")
	}
}

func TestMakeOrderIDAllocatesNothing(t *testing.T) {
	b := []byte(strings.Repeat("x", MaxOrderIDBytes))
	var id OrderID
	if n := testing.AllocsPerRun(100, func() {
		id, _ = MakeOrderID(b)
		b[0] = id.Bytes()[1]
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
