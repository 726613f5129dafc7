package engine

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// ants makes a pool of its own when it is loaded; all that is started later has to end.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
