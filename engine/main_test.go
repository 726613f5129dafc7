package engine

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// Loading ants starts its default pool. Every goroutine started after that has to end.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent())
}
