//go:build linux

package soak

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	ratioMaxConsoles = 1.5 // p99 of the lag beside consoles to that without; wanted is 1.1 (docs/performance.md)
	scrapeEvery      = time.Second
	streamTopics     = "overview,sessions,prices"
	tickPrefix       = "data:" // of the lines of a stream that have something in them
)

// consoles times the events of many clients, alternately alone and beside open consoles and a scraper.
func (r *run) consoles(ctx context.Context) error {
	if err := r.login(ctx); err != nil {
		return err
	}
	r.failOnEnd()
	if err := r.rate(ctx, r.Rate); err != nil {
		return err
	}
	if err := r.letRun(ctx, "warming up", min(2*time.Second, r.Duration)); err != nil {
		return err
	}
	var ratios []float64
	var seen watched
	for range r.Repeat {
		alone, err := r.timeEvents(ctx, "alone")
		if err != nil {
			return err
		}
		stop := r.watch(ctx, &seen)
		beside, err := r.timeEvents(ctx, "beside consoles")
		if err = stop(err); err != nil {
			return err
		}
		r.report.add("lag of events alone, p99", milliseconds(alone), "ms")
		r.report.add("lag of events beside consoles, p99", milliseconds(beside), "ms")
		ratios = append(ratios, float64(beside)/float64(max(alone, time.Microsecond)))
	}
	if err := r.rate(ctx, 0); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	r.report.count("consoles", r.Consoles)
	r.report.count("ticks that they saw", int(seen.ticks.Load()))
	r.report.count("scrapes", int(seen.scrapes.Load()))
	r.report.count("gaps", r.tally.gaps)
	r.report.count("repeats", r.tally.repeats)
	r.report.add("ratio, median", median(ratios), "")
	r.report.within("the median ratio of p99 beside consoles to p99 without", median(ratios), ratioMaxConsoles, "")
	if seen.ticks.Load() == 0 || seen.scrapes.Load() == 0 {
		r.report.fail("no console saw a tick, or nothing was scraped: nobody watched")
	}
	return nil
}

// timeEvents returns the p99 of the lag of the events that arrive during the run's duration.
func (r *run) timeEvents(ctx context.Context, stage string) (p99 time.Duration, err error) {
	r.tally.timed, r.tally.trips, r.tally.lags = true, nil, nil
	defer func() { r.tally.timed = false }()
	if err := r.letRun(ctx, stage, r.Duration); err != nil {
		return 0, err
	}
	if len(r.tally.lags) == 0 {
		return 0, fmt.Errorf("%s: no event came in %s", stage, r.Duration)
	}
	return percentile(r.tally.lags, 0.99), nil
}

// watched counts what consoles and the scraper have been sent. Any goroutine may count.
type watched struct{ ticks, scrapes atomic.Int64 }

// watch opens the consoles, and scrapes the metrics. stop ends both; it returns the error that it is given, or else
// theirs.
func (r *run) watch(ctx context.Context, seen *watched) (stop func(error) error) {
	ctx, cancel := context.WithCancel(ctx)
	base := "http://" + r.server.Admin()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	var failed atomic.Pointer[error]
	var all sync.WaitGroup // ends with stop
	each := func(watch func() error) {
		all.Go(func() {
			if err := watch(); err != nil && ctx.Err() == nil {
				failed.Store(&err)
			}
		})
	}
	for range r.Consoles {
		each(func() error { return follow(ctx, client, base+"/api/v1/live?topics="+streamTopics, seen) })
	}
	each(func() error {
		for ctx.Err() == nil {
			if err := scrape(ctx, client, base+"/metrics"); err != nil {
				return err
			}
			seen.scrapes.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(scrapeEvery):
			}
		}
		return nil
	})
	return func(err error) error {
		cancel()
		all.Wait()
		client.CloseIdleConnections()
		if why := failed.Load(); err == nil && why != nil {
			return fmt.Errorf("a console or the scraper: %w", *why)
		}
		return err
	}
}

// follow reads a stream until ctx ends.
func follow(ctx context.Context, client *http.Client, url string, seen *watched) error {
	body, err := open(ctx, client, url)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // it was only read
	lines := bufio.NewReader(body)
	for fresh := true; ; {
		line, more, err := lines.ReadLine()
		if err != nil {
			return err
		}
		if fresh && len(line) > len(tickPrefix) && string(line[:len(tickPrefix)]) == tickPrefix {
			seen.ticks.Add(1)
		}
		fresh = !more
	}
}

func scrape(ctx context.Context, client *http.Client, url string) error {
	body, err := open(ctx, client, url)
	if err != nil {
		return err
	}
	defer body.Close() //nolint:errcheck // it was only read
	_, err = io.Copy(io.Discard, body)
	return err
}

func open(ctx context.Context, client *http.Client, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return resp.Body, nil
}
