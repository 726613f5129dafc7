package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/decimal"
)

// Bounds of flag values.
const (
	durationMax = 7 * 24 * time.Hour // longest duration for which a command may be told to run
	accountsMax = config.AccountsMax
	countMax    = math.MaxInt32
)

// boolFlag is a flag that may stand alone, meaning true. Like a setting, it accepts no other words
// than true and false.
type boolFlag struct{ to *bool }

func (f boolFlag) Set(text string) (err error) {
	*f.to, err = config.ParseBool(text)
	return err
}

func (f boolFlag) String() string { return fmt.Sprint(*f.to) }
func (boolFlag) Type() string     { return config.KindBool }

// IsBoolFlag tells pflag that the flag may stand alone.
func (boolFlag) IsBoolFlag() bool { return true }

// pathFlag is the path of a file or directory. Each command decides whether it may be empty.
type pathFlag struct{ to *string }

func (f pathFlag) Set(text string) error {
	if err := userfile.CheckPath(text); err != nil {
		return err
	}
	*f.to = text
	return nil
}

func (f pathFlag) String() string { return *f.to }
func (pathFlag) Type() string     { return config.KindText }

// peerFlag is the host:port of a server to connect to.
type peerFlag struct{ to *string }

func (f peerFlag) Set(text string) error {
	if err := config.CheckAddress(text, 1); err != nil {
		return err
	}
	*f.to = text
	return nil
}

func (f peerFlag) String() string { return *f.to }
func (peerFlag) Type() string     { return config.KindText }

// adminFlag is the address of a console: host:port, with https:// in front of it for TLS.
type adminFlag struct{ to *string }

func (f adminFlag) Set(text string) error {
	if err := config.CheckAddress(strings.TrimPrefix(text, "https://"), 1); err != nil {
		return err
	}
	*f.to = text
	return nil
}

func (f adminFlag) String() string { return *f.to }
func (adminFlag) Type() string     { return config.KindText }

// peerAddress registers a flag for the address of a server to connect to.
func peerAddress(flags *pflag.FlagSet, to *string, name, address, usage string) {
	*to = address
	flags.Var(peerFlag{to}, name, usage)
}

// wholeNumbersFlag is a comma-separated list of whole numbers, each at least 1.
type wholeNumbersFlag struct{ to *[]uint64 }

func (f wholeNumbersFlag) Set(text string) error {
	var all []uint64
	for part := range strings.SplitSeq(text, ",") {
		n, err := decimal.ParseWhole[uint64](part, 1, 1<<64-1)
		if err != nil {
			return err
		}
		all = append(all, n)
	}
	*f.to = all
	return nil
}

func (f wholeNumbersFlag) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(*f.to), " ", ","), "[]")
}
func (wholeNumbersFlag) Type() string { return config.KindNumber }

// flagError turns pflag's error into a usage error. An invalid value is reported in the words that
// settings use.
func flagError(cmd *cobra.Command, err error) error {
	if value := (*pflag.InvalidValueError)(nil); errors.As(err, &value) {
		return usageError{fmt.Errorf("--%s: %w", value.GetFlag().Name, value.Unwrap())}
	}
	return usageError{fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())}
}

// pathError turns an operating system error about a flag's path into a usage error, if the path is
// to blame.
func pathError(flag string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && slices.Contains(usageErrnos, errno) {
		return usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	return err
}
