package venue

import (
	"fmt"
	"os"
	"sync"
)

// Storage says how events are stored.
type Storage string

// The kinds of storage. Each event is one write and one sync of the file; several may be under way, and none waits to share one.
const (
	StorageNone Storage = "none"
	StorageSync Storage = "sync" // by a goroutine per user that has something to store
	StoragePool Storage = "pool" // by a fixed number of database workers, which the users' goroutines wait for
)

// Storages are all of them.
func Storages() []Storage { return []Storage{StorageNone, StorageSync, StoragePool} }

const (
	// writesMax bounds the events that wait for the pool. Full: the users' goroutines wait.
	writesMax = 1024
	// syncsMax bounds the users that store by themselves at a time: each takes a thread, of which Go allows 10,000. Full: others wait.
	syncsMax = 2000
)

// storage is a file of events, each as the EVENT frame of the protocol.
type storage struct {
	file    *os.File
	writes  chan write    // nil: whoever saves writes
	syncs   chan struct{} // holds one for each that does
	workers sync.WaitGroup
}

// write is an event that somebody waits for.
type write struct {
	frame []byte
	done  chan error
}

// openStorage makes the file, and starts the pool. It is nil where nothing is stored.
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

// append is one write at the end of the file, which the kernel does not mix with others, and one sync.
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
