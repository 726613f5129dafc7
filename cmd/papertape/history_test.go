package main

import (
	"testing"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/clientsim"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

// TestMissionHistory counts what the events of the mission take in memory: those of ten clients, with
// order ids, and those of a script, with busts and corrections (P12 in docs/performance.md).
func TestMissionHistory(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("the mission takes 5 s, and it counts bytes, which the race detector has no part in")
	}
	t.Parallel()
	script, err := simulator.ParseScript(clientsim.MissionScript(), market.Default())
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Data = "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	cfg.Durability = config.DurabilityNone
	s, err := newServer(cfg, script, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	l := run(t, s)
	report, err := clientsim.Mission(t.Context(), clientsim.MissionConfig{Addr: l.at().listen})
	if err != nil || !report.OK() {
		t.Fatalf("the mission: %v\n%v", err, report)
	}
	st := s.engine.Stats()
	each := float64(st.HistoryBytes) / float64(st.HistoryEvents)
	t.Logf("%d events of %d accounts, %.1f bytes each in memory", st.HistoryEvents, cfg.Accounts, each)
	if st.HistoryEvents < 700 || uint64(st.HistoryEvents) != st.Events || each > 100 {
		t.Errorf("%d events take %.1f bytes each in memory; at most 100, of all %d", st.HistoryEvents, each, st.Events)
	}
	if err := l.end(); err != nil {
		t.Error(err)
	}
}
