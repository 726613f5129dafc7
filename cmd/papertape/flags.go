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

// Bounds of the values of flags.
const (
	durationMax = 7 * 24 * time.Hour // how long a command may be told to do something
	accountsMax = config.AccountsMax
	countMax    = math.MaxInt32
)

// boolFlag is a flag that is true when it is named. Like a setting it takes no other words than true and false.
type boolFlag struct{ to *bool }

func (f boolFlag) Set(text string) (err error) {
	*f.to, err = config.ParseBool(text)
	return err
}

func (f boolFlag) String() string { return fmt.Sprint(*f.to) }
func (boolFlag) Type() string     { return config.KindBool }

// IsBoolFlag tells pflag that the flag may stand alone.
func (boolFlag) IsBoolFlag() bool { return true }

// pathFlag is a flag with the path of a file or directory. It may be empty: that is for the command to judge.
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

// peerFlag is the address of a server to connect to, host:port.
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

// peerAddress registers a flag that names a server to connect to.
func peerAddress(flags *pflag.FlagSet, to *string, name, address, usage string) {
	*to = address
	flags.Var(peerFlag{to}, name, usage)
}

// wholesFlag is a list of whole numbers from 1 on, with commas between them.
type wholesFlag struct{ to *[]uint64 }

func (f wholesFlag) Set(text string) error {
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

func (f wholesFlag) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(*f.to), " ", ","), "[]")
}
func (wholesFlag) Type() string { return config.KindNumber }

// flagError is what is wrong with the flags of a command. A value that is wrong is told as that of a setting is.
func flagError(cmd *cobra.Command, err error) error {
	if value := (*pflag.InvalidValueError)(nil); errors.As(err, &value) {
		return usageError{fmt.Errorf("--%s: %w", value.GetFlag().Name, value.Unwrap())}
	}
	return usageError{fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())}
}

// wrongPath makes an error of the operating system about the path that a flag names a matter of usage, if it is one.
func wrongPath(flag string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && slices.Contains(notForUs, errno) {
		return usageError{fmt.Errorf("%s: %w", flag, err)}
	}
	return err
}
