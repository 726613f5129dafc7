package main

import (
	"net/http"

	"github.com/papertape/papertape/metrics"
)

// metrics returns what answers GET /metrics.
func (s *server) metrics() http.Handler {
	from := metrics.Sources{
		Version: version, Durability: s.cfg.Durability,
		Engine: s.engine, Gateway: s.gw, Flow: s.flow, Feed: s.feed, Ready: s.ready, HTTP: s.httpMetrics,
		LogLinesLost:   s.logLinesLost,
		InboxOrdersMax: s.cfg.InboxOrdersMax, OutboxTotalBytesMax: s.cfg.OutboxTotalBytesMax,
		HistoryMemoryBytesMax: s.cfg.HistoryMemoryBytesMax, UncheckpointedBytesMax: s.cfg.UncheckpointedBytesMax,
	}
	if s.ledger != nil {
		from.Journal = s.ledger.journal.Load
	}
	return metrics.Handler(from)
}

func (s *server) httpMetrics() metrics.HTTP {
	c := s.console.Load()
	if c == nil {
		return metrics.HTTP{}
	}
	return metrics.HTTP(c.Stats())
}

func (s *server) logLinesLost() uint64 {
	if s.out == nil {
		return 0
	}
	return s.out.to.lost.Load()
}
