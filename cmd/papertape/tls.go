package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/selfsigned"
)

const (
	certificateFile    = "tls.crt"
	certificateKeyFile = "tls.key"

	certificateDaysDefault = 90
	certificateDaysMax     = 3650
)

func newTLS() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tls",
		Short: "Certificates for encrypted connections",
		Example: `  papertape tls self-signed localhost 127.0.0.1
  papertape serve --tls.cert tls.crt --tls.key tls.key      with what that has made`,
		Args: exactArgs(0, "a command: self-signed"),
	}
	cmd.AddCommand(newSelfSigned())
	return cmd
}

func newSelfSigned() *cobra.Command {
	out, days := ".", certificateDaysDefault
	cmd := &cobra.Command{
		Use:   "self-signed NAME ...",
		Short: "Make a certificate that vouches for itself, and its key",
		Long: `Make a certificate and its key, tls.crt and tls.key, for the names and addresses by which a server is reached. Nobody but itself
vouches for it: give tls.crt to the clients (--tls-ca), and keep tls.key. It serves a client as well, whose tls.crt the server is
given as tls.client_ca. Where there is an authority, ask that for a certificate instead.`,
		Example: `  papertape tls self-signed localhost 127.0.0.1
  papertape tls self-signed papertape.internal 10.0.0.2 --days 365 --out /etc/papertape
  papertape client --account 100017 --tls --tls-ca tls.crt`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := checkNames(names); err != nil {
				return usageError{err}
			}
			certificate, key, err := selfsigned.Make(names, time.Duration(days)*24*time.Hour)
			if err != nil {
				return err
			}
			crtPath, keyPath := filepath.Join(out, certificateFile), filepath.Join(out, certificateKeyFile)
			if err := writeFresh(keyPath, key, 0o600); err != nil {
				return pathError("--out", err)
			}
			if err := writeFresh(crtPath, certificate, 0o644); err != nil {
				return pathError("--out", errors.Join(err, os.Remove(keyPath)))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", crtPath, keyPath)
			return err
		},
	}
	cmd.Flags().Var(pathFlag{&out}, "out", "the `directory` for both files, which must not be there yet")
	cmd.Flags().Var(decimal.Whole(&days, certificateDaysDefault, 1, certificateDaysMax), "days", "how long it is valid")
	return cmd
}

// checkNames checks names and addresses of a server.
func checkNames(names []string) error {
	if len(names) == 0 {
		return errors.New("for whom? Name the server as clients do, as in papertape tls self-signed localhost " +
			"127.0.0.1")
	}
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil && ip.Zone() == "" || name == "localhost" {
			continue
		}
		if _, err := console.ParseHost(name); err != nil {
			return err
		}
	}
	return nil
}

// writeFresh writes a file that must not be there yet.
func writeFresh(path string, b []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
