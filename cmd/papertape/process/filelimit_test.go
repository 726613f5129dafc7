package process

import "testing"

func TestRaiseFileLimit(t *testing.T) {
	n, err := RaiseFileLimit()
	if err != nil || n == 0 {
		t.Fatalf("limit %d, %v", n, err)
	}
	if again, err := RaiseFileLimit(); err != nil || again != n {
		t.Errorf("the second time: limit %d, %v; want %d", again, err, n)
	}
}
