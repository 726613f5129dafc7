package baseline

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// ants creates a pool when it is loaded, whose two goroutines live as long as the
	// process.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
