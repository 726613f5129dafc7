package peers

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// gnet and ants create pools when they are loaded, and zinx never ends its workers.
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(),
		goleak.IgnoreAnyFunction("github.com/aceld/zinx/znet.(*MsgHandle).StartOneWorker"))
}
