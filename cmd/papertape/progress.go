package main

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/papertape/papertape/console"
)

const (
	recoveryShownEvery = 50 * time.Millisecond
	recoveryLogEvery   = 5 * time.Second
)

// recoveryProgress shows the progress of a recovery on /readyz, and in a bar on a terminal or in
// lines of the log. It is used by one goroutine.
type recoveryProgress struct {
	server        *server
	bar           *progressbar.ProgressBar // nil: not a terminal
	began         time.Time
	shown, lineAt time.Time
}

func newRecoveryProgress(s *server) *recoveryProgress {
	p := &recoveryProgress{server: s, began: time.Now(), lineAt: time.Now()}
	if s.terminal != nil {
		p.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(s.terminal),
			progressbar.OptionSetDescription("recovering"), progressbar.OptionSetWidth(30),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount())
	}
	return p
}

// show takes how many accounts and commits have been read, of how many. It is called for each one.
func (p *recoveryProgress) show(done, total uint64) {
	now := time.Now()
	if now.Sub(p.shown) < recoveryShownEvery {
		return
	}
	p.shown = now
	percent := 100 * done / max(total, 1)
	text := fmt.Sprintf("recovering: %d%% (%d of %d accounts and commits)", percent, done, total)
	p.server.unready.Store(&unready{state: console.StateRecovering, why: text,
		percent: int(percent)}) //nolint:gosec // a percentage
	if p.bar != nil {
		p.bar.ChangeMax64(int64(total))
		_ = p.bar.Set64(int64(done))
		return
	}
	if now.Sub(p.lineAt) >= recoveryLogEvery {
		p.lineAt = now
		p.server.log.Info().Uint64("done", done).Uint64("total", total).Msg(text)
	}
}

// end removes the bar.
func (p *recoveryProgress) end() {
	if p.bar != nil {
		_ = p.bar.Exit()
		_ = p.bar.Clear()
	}
}
