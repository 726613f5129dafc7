//go:build !linux

package soak

import (
	"context"
	"errors"
)

// Run needs epoll.
func Run(context.Context, Config) (*Report, error) {
	return nil, errors.New("the loads are driven by epoll: run them on Linux")
}
