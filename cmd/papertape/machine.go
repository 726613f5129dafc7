package main

import (
	"fmt"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/doctor"
	"github.com/papertape/papertape/cmd/papertape/process"
	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/keys"
	"github.com/papertape/papertape/market"
)

// checkMachine checks what a valid configuration requires of the machine: that the scenario can be
// read and the keys too, and that there are enough files for the connections. It returns the maximum number of
// connections.
func checkMachine(cfg *config.Config) (connections int, err error) {
	universe, err := configuredUniverse(cfg)
	if err != nil {
		return 0, err
	}
	if cfg.Simulator.Script != "" {
		if _, err := loadScript(cfg.Simulator.Script, universe); err != nil {
			return 0, cfg.Wrong("simulator.script", "%w", err)
		}
	}
	if cfg.AuthKeysFile != "" {
		if _, err := keys.Inspect(cfg.AuthKeysFile); err != nil {
			return 0, cfg.Wrong("auth.keys_file", "%w", err)
		}
	}
	return connectionsMax(cfg)
}

func loadScript(path string, u *market.Universe) (*simulator.Script, error) {
	text, err := userfile.Read(path, simulator.ScriptBytesMax)
	if err != nil {
		return nil, fmt.Errorf("scenario script: %w", err)
	}
	s, err := simulator.ParseScript(text, u)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

const (
	filesReserved   = doctor.FilesReserved
	connectionsAuto = doctor.ConnectionsAuto
)

// connectionsMax raises the limit of open files and returns the maximum number of connections.
func connectionsMax(c *config.Config) (int, error) {
	limit, err := process.RaiseFileLimit()
	if err != nil {
		return 0, c.Wrong("connections_max", "%w", err)
	}
	n, err := connectionsWithin(c.ConnectionsMax, limit)
	if err != nil {
		return 0, c.Wrong("connections_max", "%w", err)
	}
	return n, nil
}

// connectionsWithin returns configured, or what the hard limit of open files allows if configured
// is 0 (auto). It refuses a number above the limit, because running out of files later would stop
// the event loops.
func connectionsWithin(configured int, hardLimit uint64) (int, error) {
	if hardLimit <= filesReserved {
		return 0, fmt.Errorf("the hard limit of open files is %d, and the server keeps %d for itself; "+
			"raise it (ulimit -Hn)", hardLimit, filesReserved)
	}
	available := hardLimit - filesReserved
	if configured == 0 {
		return int(min(available, connectionsAuto)), nil
	}
	if uint64(configured) > available {
		return 0, fmt.Errorf("%d connections are more than this machine gives: the hard limit of open files is %d, "+
			"less %d for the server itself leaves %d; write at most that, or auto, or raise the limit (ulimit -Hn)",
			configured, hardLimit, filesReserved, available)
	}
	return configured, nil
}

// connectionLimits returns the gateway's connection limits.
func connectionLimits(c *config.Config, connections int) gateway.Limits {
	return gateway.Limits{
		ConnectionsMax: connections, ConnectionsPreloginMax: c.ConnectionsPreloginMax,
		ConnectionsPerIPMax: c.ConnectionsPerIPMax, ConnectionsPerSecondMax: c.ConnectionsPerSecondMax,
		HandshakesPerSecondMax: c.HandshakesPerSecond(),
	}
}

// adviseMemory returns what the engine calls for each piece of memory that will hold history.
func adviseMemory(cfg *config.Config) func([]byte) {
	if !cfg.HugePages {
		return nil
	}
	return process.AdviseHugePages
}

// reserveHeap asks for huge pages for what the heap holds. Most of the history is not in the heap;
// that of many small accounts is.
func reserveHeap(cfg *config.Config, log zerolog.Logger) {
	if !cfg.HugePages {
		return
	}
	bytes, err := process.ReserveHugePages(cfg.HistoryMemoryBytesMax + cfg.UncheckpointedBytesMax)
	if err != nil {
		log.Warn().Err(err).Msg("no huge pages")
		return
	}
	log.Debug().Int64("bytes", bytes).Msg("huge pages asked for")
}
