package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	httppprof "net/http/pprof"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"golang.org/x/sys/unix"

	"github.com/papertape/papertape/bench/venue"
)

// spareFiles is the number of files that a server has open besides its connections.
const spareFiles = 64

// connectionsMax returns how many connections the limit of open files allows.
func connectionsMax() int {
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) // it was read when it was raised
	return int(min(max(limit.Cur, spareFiles+1)-spareFiles, 1<<30))
}

// profile writes a CPU profile until the returned function is called.
func profile(path string) (stop func() error, err error) {
	if path == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("the CPU profile: %w", err)
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// debug serves the debug endpoints of a server.
type debug struct {
	address string
	server  *http.Server
	done    chan struct{}
}

func startDebug(address string, stats *venue.Stats) (*debug, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", httppprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", httppprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", httppprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", httppprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", httppprof.Trace)
	mux.HandleFunc("/debug/vars", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(readVars(stats))
	})
	d := &debug{address: l.Addr().String(), server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second},
		done: make(chan struct{})}
	go func() {
		defer close(d.done)
		_ = d.server.Serve(l)
	}()
	return d, nil
}

func (d *debug) stop() {
	_ = d.server.Close()
	<-d.done
}

// vars is the content of /debug/vars, in the manner of expvar.
type vars struct {
	Goroutines int               `json:"goroutines"`
	MemStats   runtime.MemStats  `json:"memstats"`
	Business   map[string]uint64 `json:"business,omitempty"`
}

func readVars(stats *venue.Stats) vars {
	v := vars{Goroutines: runtime.NumGoroutine()}
	runtime.ReadMemStats(&v.MemStats)
	if stats != nil {
		v.Business = map[string]uint64{
			"orders": stats.Orders.Load(), "refused": stats.Refused.Load(), "events": stats.Events.Load(),
			"pushes": stats.Pushes.Load(),
			"fills":  stats.Fills.Load(), "fills_idle": stats.Idle.Load(), "fills_skipped": stats.Skipped.Load(),
		}
	}
	return v
}
