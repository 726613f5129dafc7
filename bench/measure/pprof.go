package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Debug is a server's HTTP endpoint with /debug/pprof/.
type Debug struct {
	Address string
	Token   string // "": it needs none
}

// Authorize adds the token to a request.
func (d Debug) Authorize(r *http.Request) {
	if d.Token != "" {
		r.Header.Set("Authorization", "Bearer "+d.Token)
	}
}

// Go is what the runtime of a Go server reports about itself.
type Go struct {
	Goroutines int
	Mallocs    uint64
	HeapInuse  uint64
	Stacks     uint64 // bytes of stacks in use
	GCs        uint64
	GCShare    float64 // fraction of the processor time since the start
}

// Go gets these values. With forceGC the server first collects garbage, so that only
// reachable memory is in use.
func (d Debug) Go(ctx context.Context, forceGC bool) (Go, error) {
	gc := 0
	if forceGC {
		gc = 1
	}
	heap, err := d.get(ctx, fmt.Sprintf("heap?debug=1&gc=%d", gc))
	if err != nil {
		return Go{}, err
	}
	goroutines, err := d.get(ctx, "goroutine?debug=1")
	if err != nil {
		return Go{}, err
	}
	var g Go
	first, _, _ := strings.Cut(string(goroutines), "\n") // goroutine profile: total 12
	_, total, _ := strings.Cut(first, "total ")
	g.Goroutines, err = strconv.Atoi(strings.TrimSpace(total))
	g.Mallocs, g.HeapInuse = lineOf(heap, "# Mallocs ="), lineOf(heap, "# HeapInuse =")
	g.Stacks, g.GCs = lineOf(heap, "# Stack ="), lineOf(heap, "# NumGC =")
	for line := range strings.Lines(string(heap)) {
		if rest, ok := strings.CutPrefix(line, "# GCCPUFraction ="); ok {
			var failed error
			g.GCShare, failed = strconv.ParseFloat(strings.TrimSpace(rest), 64)
			err = errors.Join(err, failed)
		}
	}
	if err != nil {
		return Go{}, fmt.Errorf("what http://%s/debug/pprof/ says does not parse: %w", d.Address, err)
	}
	return g, nil
}

// Profile takes a CPU profile of that length.
func (d Debug) Profile(ctx context.Context, length time.Duration) ([]byte, error) {
	return d.get(ctx, fmt.Sprintf("profile?seconds=%d", max(1, int(length.Round(time.Second).Seconds()))))
}

const profileBytesMost = 64 << 20

func (d Debug) get(ctx context.Context, what string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.Address+"/debug/pprof/"+what, nil)
	if err != nil {
		return nil, err
	}
	d.Authorize(req)
	// An idle connection would be another goroutine of the server.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server's profiler: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	body, err := io.ReadAll(io.LimitReader(resp.Body, profileBytesMost))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body[:min(len(body), 200)])
	}
	if err != nil {
		return nil, fmt.Errorf("ask the server's profiler for %s: %w", what, err)
	}
	return body, nil
}
