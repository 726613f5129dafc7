package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// What a service manager is told, in the words of sd_notify(3).
const (
	managerReady    = "READY=1"
	managerStopping = "STOPPING=1"
)

// managerReloading begins a reload, which managerReady ends. The time lets the manager tell it from an older one.
func managerReloading() (string, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "", fmt.Errorf("read the monotonic clock: %w", err)
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/int64(time.Microsecond)), nil
}

// tellManager sends a state to the service manager that started this process, if one did: one datagram to the Unix socket that
// NOTIFY_SOCKET names, a path or, with @ before it, an abstract name. systemd's Type=notify waits for it. What cannot be sent is
// worth a warning, and nothing more: the server serves without.
func tellManager(log *zerolog.Logger, state string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	if err := sendState(socket, state); err != nil {
		log.Warn().Err(err).Str("state", state).Msg("the service manager could not be told (NOTIFY_SOCKET)")
	}
}

func sendState(socket, state string) error {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is left to be written
	// A manager that hangs is not waited for.
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return err
}

// tellManagerReloading tells the service manager that a reload begins; the returned function, that it ended.
func tellManagerReloading(log *zerolog.Logger) (ended func()) {
	state, err := managerReloading()
	if err != nil {
		log.Warn().Err(err).Msg("the service manager is not told of this reload")
		return func() {}
	}
	tellManager(log, state)
	return func() { tellManager(log, managerReady) }
}

// tellManagerStopping tells the service manager when ctx ends. The returned function waits until that is done, or keeps it
// from being done if ctx has not ended.
func tellManagerStopping(ctx context.Context, log *zerolog.Logger) (wait func()) {
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		tellManager(log, managerStopping)
	})
	return func() {
		if !stop() {
			<-told
		}
	}
}
