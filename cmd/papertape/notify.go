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

// The states that are sent to a service manager, as defined in sd_notify(3).
const (
	managerReady    = "READY=1"
	managerStopping = "STOPPING=1"
)

// managerReloading returns the state that begins a reload, which managerReady ends. The time lets
// the manager tell it from an earlier reload.
func managerReloading() (string, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "", fmt.Errorf("read the monotonic clock: %w", err)
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/int64(time.Microsecond)), nil
}

// tellManager sends a state to the service manager that started this process, if there is one. The
// state is one datagram to the Unix socket that NOTIFY_SOCKET names, a path or, with a leading @,
// an abstract name. systemd's Type=notify waits for it. A failure is only logged as a warning,
// since the server can serve without it.
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
	defer conn.Close() //nolint:errcheck // nothing is left to write
	// Do not wait for a manager that hangs.
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return err
}

// tellManagerReloading tells the service manager that a reload has begun. The returned function
// tells it that the reload has ended.
func tellManagerReloading(log *zerolog.Logger) (ended func()) {
	state, err := managerReloading()
	if err != nil {
		log.Warn().Err(err).Msg("the service manager is not told of this reload")
		return func() {}
	}
	tellManager(log, state)
	return func() { tellManager(log, managerReady) }
}

// tellManagerStopping tells the service manager when ctx ends. The returned function waits until
// that is done. If ctx has not ended, it cancels the notification instead.
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
