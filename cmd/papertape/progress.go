package main

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	recoveryShownEvery = 50 * time.Millisecond
	recoveryLogEvery   = 5 * time.Second
)

// recoveryProgress shows how far a recovery has come: /readyz, and a bar on a terminal or lines in the log. One
// goroutine has it.
type recoveryProgress struct {
	server      *server
	bar         *progressbar.ProgressBar // nil: no terminal
	began       time.Time
	shown, said time.Time
}

func newRecoveryProgress(s *server) *recoveryProgress {
	p := &recoveryProgress{server: s, began: time.Now(), said: time.Now()}
	if s.terminal != nil {
		p.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(s.terminal),
			progressbar.OptionSetDescription("recovering"), progressbar.OptionSetWidth(30),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionShowCount())
	}
	return p
}

// show takes how many accounts and commits have been read, of how many. It is called for each of them.
func (p *recoveryProgress) show(done, total uint64) {
	now := time.Now()
	if now.Sub(p.shown) < recoveryShownEvery {
		return
	}
	p.shown = now
	text := fmt.Sprintf("recovering: %d%% (%d of %d accounts and commits)", 100*done/max(total, 1), done, total)
	p.server.setUnready(text)
	if p.bar != nil {
		p.bar.ChangeMax64(int64(total))
		_ = p.bar.Set64(int64(done))
		return
	}
	if now.Sub(p.said) >= recoveryLogEvery {
		p.said = now
		p.server.log.Info().Uint64("done", done).Uint64("total", total).Msg(text)
	}
}

// end takes the bar away.
func (p *recoveryProgress) end() {
	if p.bar != nil {
		_ = p.bar.Exit()
		_ = p.bar.Clear()
	}
}
