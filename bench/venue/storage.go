package venue

import (
	"fmt"
	"os"
	"sync"
)

// Storage says how events are stored.
type Storage string

// The kinds of storage. Each event is one write and one sync of the file. Several may be
// under way, but none are grouped.
const (
	StorageNone Storage = "none"
	StorageSync Storage = "sync" // by one goroutine per account that has something to store
	StoragePool Storage = "pool" // by a fixed number of database workers, for which the accounts' goroutines wait
)

// Storages returns all kinds of storage.
func Storages() []Storage { return []Storage{StorageNone, StorageSync, StoragePool} }

const (
	// writesMax bounds the events that wait for the pool. If it is full, the accounts'
	// goroutines wait.
	writesMax = 1024
	// syncsMax bounds the accounts that store by themselves at a time. Each takes a thread,
	// of which Go allows 10,000. If it is reached, others wait.
	syncsMax = 2000
)

// storage is a file of events, each encoded as the protocol's EVENT frame.
type storage struct {
	file    *os.File
	writes  chan write    // nil: the caller of save writes
	syncs   chan struct{} // holds an element for each caller that writes
	workers sync.WaitGroup
}

// write is an event to be stored, and the channel for the result.
type write struct {
	frame []byte
	done  chan error
}

// openStorage creates the file and starts the pool. It returns nil if nothing is stored.
func openStorage(cfg *Config) (*storage, error) {
	if cfg.Storage == StorageNone {
		return nil, nil
	}
	file, err := os.OpenFile(cfg.File, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("the file of events: %w", err)
	}
	s := &storage{file: file, syncs: make(chan struct{}, syncsMax)}
	if cfg.Storage == StoragePool {
		s.writes = make(chan write, writesMax)
		for range cfg.StorageWorkers {
			s.workers.Go(s.work)
		}
	}
	return s, nil
}

// save returns when the event is durable.
func (s *storage) save(frame []byte) error {
	if s.writes == nil {
		s.syncs <- struct{}{}
		defer func() { <-s.syncs }()
		return s.append(frame)
	}
	done := make(chan error, 1)
	s.writes <- write{frame, done}
	return <-done
}

func (s *storage) work() {
	for w := range s.writes {
		w.done <- s.append(w.frame)
	}
}

// append appends to the file with one write, which the kernel does not mix with others, and
// one sync.
func (s *storage) append(frame []byte) error {
	if _, err := s.file.Write(frame); err != nil {
		return fmt.Errorf("storing an event: %w", err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("storing an event: %w", err)
	}
	return nil
}

func (s *storage) close() error {
	if s.writes != nil {
		close(s.writes)
	}
	s.workers.Wait()
	return s.file.Close()
}
