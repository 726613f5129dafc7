package gateway

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// ants and gnet each make a pool when they are loaded, whose two goroutines live as long as the process. Goroutines
	// of pools that are made later are leaks.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
