// Package metrics shows a server to Prometheus.
//
//	handler := metrics.Handler(metrics.Sources{Engine: eng, Gateway: gw, …})  // GET /metrics
//
// Nothing is counted here. The shards, the event loops, the journal and the console count and time what
// they do, each in memory of its own, and a scrape reads all of that once and adds it up. So being
// scraped costs them nothing, and what happens between two scrapes costs no more than if nobody asked.
//
// Every label has a closed set of values, and every value is there from the first scrape on, as 0: a
// series that appeared with its first event would hide it from rate. Nothing is labelled by account,
// session, address or instrument, of which there is no bound.
package metrics
