package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/keys"
)

func newKeys() *cobra.Command {
	return group(&cobra.Command{
		Use:   "keys",
		Short: "Who may log in: the keys of a server, in a file",
		Long: `Make, list, revoke and replace the keys in a file. A server that is told of the file with auth.keys_file lets nobody log in
without one; it reads the file at the start and on SIGHUP, and then ends the sessions whose keys were revoked, have expired or grant less.

The file is for its owner alone (or root's, and then a group may read it). It has no secrets: who reads it cannot log in. Keep it
out of the data directory, so that it is in no backup.`,
		Example: `  papertape keys add --keys-file papertape.keys --role trade --accounts 100017 --name "desk 7" --out desk7.key
  papertape serve --auth.keys-file papertape.keys
  papertape client --account 100017 --key desk7.key`,
	}, newKeysAdd(), newKeysList(), newKeysRevoke(), newKeysRotate(), newKeysCheck())
}

// keysFile registers the flag for the file of keys.
func keysFile(flags *pflag.FlagSet, to *string) {
	flags.Var(pathFlag{to}, "keys-file", "the `file` of keys, auth.keys_file of the server")
}

// mustHaveKeysFile returns an error unless the flag was given.
func mustHaveKeysFile(path string) error {
	if path == "" {
		return usageError{errors.New("which file of keys? Name it with --keys-file")}
	}
	return nil
}

// keyUntil parses when a key expires: a time, or how long from now. Empty means never.
func keyUntil(text string, now time.Time) (time.Time, error) {
	const daysMax, hoursMax = 36_500, 24 * 365 * time.Hour
	if text == "" {
		return time.Time{}, nil
	}
	var left time.Duration
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := decimal.ParseWhole(days, 1, daysMax)
		if err != nil {
			return time.Time{}, fmt.Errorf("days: %w", err)
		}
		left = time.Duration(n) * 24 * time.Hour
	} else if d, err := decimal.ParseDuration(text, time.Second, hoursMax); err == nil {
		left = d
	}
	if left > 0 {
		return now.Add(left).UTC().Truncate(time.Second), nil
	}
	t, err := keys.ParseTime(text)
	if err != nil {
		return t, fmt.Errorf("%w, or 180d or 12h from now", err)
	}
	if !now.Before(t) {
		return t, fmt.Errorf("%s is in the past", text)
	}
	return t, nil
}

type keysAddFlags struct{ file, role, accounts, name, expires, from, out string }

func newKeysAdd() *cobra.Command {
	var f keysAddFlags
	cmd := &cobra.Command{
		Use:   "add --keys-file FILE --role R --accounts A --name N",
		Short: "Make a key, and say its secret once",
		Long: `Make a key with a random id and a random secret, and add it to the file, which is made if it is not there. The last line of what
is printed, or of the file of --out, is the id and the secret. The secret is kept nowhere else.

read     logs in to the accounts, and sees them
trade    sends orders too
watch    may look at the console
operate  may do anything at the console`,
		Example: `  papertape keys add --keys-file papertape.keys --role trade --accounts 100001,100010-100019 --name "desk 7" --out desk7.key
  papertape keys add --keys-file papertape.keys --role read --accounts '*' --name risk --expires 180d --from 10.0.0.0/8`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.OutOrStdout()) },
	}
	keysFile(cmd.Flags(), &f.file)
	cmd.Flags().StringVar(&f.role, "role", "", "read, trade, watch or operate")
	cmd.Flags().StringVar(&f.accounts, "accounts", "", "as 100001,100010-100019, or * for all; for read and trade")
	cmd.Flags().StringVar(&f.name, "name", "", "whose it is, for people")
	cmd.Flags().StringVar(&f.expires, "expires", "", "when it ends: 2027-06-30, 2027-06-30T18:00:00Z, 180d or 12h "+
		"(default: never)")
	cmd.Flags().StringVar(&f.from, "from", "", "the addresses it may be used from, as 10.0.0.0/8,192.0.2.7 "+
		"(default: any)")
	cmd.Flags().Var(pathFlag{&f.out}, "out", "write the id and the secret to this new `file`, for its owner alone")
	return cmd
}

func (f *keysAddFlags) run(w io.Writer) error {
	if err := mustHaveKeysFile(f.file); err != nil {
		return err
	}
	k, err := f.key()
	if err != nil {
		return usageError{err}
	}
	return giveKey(w, f.file, f.out, k, func(file *keys.File) error { return file.Add(k) })
}

// key returns the key that the flags describe, without a verifier.
func (f *keysAddFlags) key() (*keys.Key, error) {
	k := &keys.Key{ID: keys.NewID(), Name: f.name}
	var err error
	if f.role == "" {
		return nil, errors.New("what may it do? Say --role read, trade, watch or operate")
	}
	if f.name == "" {
		return nil, errors.New("whose key is it? Name it with --name")
	}
	if k.Role, err = keys.ParseRole(f.role); err != nil {
		return nil, err
	}
	if f.accounts != "" {
		if k.Accounts, err = keys.ParseAccounts(f.accounts); err != nil {
			return nil, err
		}
	}
	if k.Expires, err = keyUntil(f.expires, time.Now()); err != nil {
		return nil, fmt.Errorf("--expires: %w", err)
	}
	if f.from != "" {
		if k.From, err = keys.ParseSources(f.from); err != nil {
			return nil, fmt.Errorf("--from: %w", err)
		}
	}
	return k, k.Check()
}

// giveKey makes the secret of a key, changes the file of keys, and prints the secret or writes it to
// out. It writes first: a key whose secret nobody has would be of no use.
func giveKey(w io.Writer, path, out string, k *keys.Key, change func(*keys.File) error) error {
	secret := keys.NewSecret()
	k.Verifier = secret.Verifier()
	c := keys.Credential{ID: k.ID, Secret: secret}
	if out != "" {
		if err := writeNew(out, c.Line()+"\n"); err != nil {
			return err
		}
	}
	if err := keys.Edit(path, change); err != nil {
		if out != "" {
			err = errors.Join(err, os.Remove(out))
		}
		return keysError(err)
	}
	about := fmt.Sprintf("%s has the key %s: %s, accounts %s", path, k.ID, k.Role, k.Accounts)
	if !k.Expires.IsZero() {
		about += ", until " + k.Expires.Format(time.RFC3339)
	}
	if out != "" {
		_, err := fmt.Fprintf(w, "%s; its secret is in %s\n", about, out)
		return err
	}
	_, err := fmt.Fprintf(w, "%s; its secret is said this once:\n%s\n", about, c.Line())
	return err
}

// writeNew writes a file that is not there yet, for its owner alone.
func writeNew(path, text string) error {
	if err := writeFresh(path, []byte(text), 0o600); err != nil {
		return usageError{fmt.Errorf("--out: %w", err)}
	}
	return nil
}

// keysError attributes an error to the file of keys.
func keysError(err error) error { return config.Errorf("--keys-file: %w", err) }

// listedKey is a key in a list. It has no verifier.
type listedKey struct {
	ID       string     `json:"id"`
	Role     string     `json:"role"`
	Accounts string     `json:"accounts"`
	Name     string     `json:"name"`
	Expires  *time.Time `json:"expires,omitempty"`
	Expired  bool       `json:"expired"`
	From     string     `json:"from,omitempty"`
}

func newKeysList() *cobra.Command {
	var path, output string
	cmd := &cobra.Command{
		Use:   "list --keys-file FILE",
		Short: "The keys in a file",
		Example: `  papertape keys list --keys-file papertape.keys
  papertape keys list --keys-file papertape.keys -o json`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(checkOutput(output), mustHaveKeysFile(path)); err != nil {
				return err
			}
			file, err := keys.Inspect(path)
			if err != nil {
				return keysError(err)
			}
			list := struct {
				Keys []listedKey `json:"keys"`
			}{listKeys(file.Keys(), time.Now())}
			return printAs(cmd.OutOrStdout(), output, list, func(w io.Writer) error { return renderKeys(w, list.Keys) })
		},
	}
	keysFile(cmd.Flags(), &path)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func listKeys(all []keys.Key, now time.Time) []listedKey {
	list := make([]listedKey, len(all))
	for i := range all {
		k := &all[i]
		list[i] = listedKey{
			ID: k.ID, Role: k.Role.String(), Accounts: k.Accounts.String(), Name: k.Name, Expired: k.Expired(now),
			From: keys.FormatSources(k.From),
		}
		if !k.Expires.IsZero() {
			list[i].Expires = &k.Expires
		}
	}
	return list
}

func renderKeys(w io.Writer, list []listedKey) error {
	t := newTable(table.Row{"id", "role", "accounts", "name", "expires", "from"}, 7)
	for i := range list {
		k := &list[i]
		expires := "never"
		if k.Expires != nil {
			expires = k.Expires.Format(time.RFC3339)
		}
		if k.Expired {
			expires += " (expired)"
		}
		t.AppendRow(table.Row{k.ID, k.Role, k.Accounts, k.Name, expires, k.From})
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", t.Render(), plural(len(list), "key"))
	return err
}

func newKeysRevoke() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "revoke ID --keys-file FILE",
		Short: "Take a key out of a file",
		Long: `Take the line of a key out of a file. A running server ends its sessions when it reads the file again:
send it SIGHUP.`,
		Example: `  papertape keys revoke PK7Q2M4XTB3DJ6WN --keys-file papertape.keys
  papertape keys revoke PK7Q2M4XTB3DJ6WN --keys-file papertape.keys && kill -HUP $(pidof papertape)`,
		Args: exactArgs(1, "the id of a key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mustHaveKeysFile(path); err != nil {
				return err
			}
			var gone keys.Key
			err := editThere(path, func(file *keys.File) (err error) {
				if gone, err = file.Find(args[0]); err == nil {
					err = file.Remove(args[0])
				}
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(),
				"%s no longer has the key %s, %s; a running server ends its sessions at "+
					"SIGHUP\n", path, gone.ID, gone.Name)
			return err
		},
	}
	keysFile(cmd.Flags(), &path)
	return cmd
}

// editThere changes a file of keys that must be there.
func editThere(path string, change func(*keys.File) error) error {
	if _, err := keys.Inspect(path); errors.Is(err, os.ErrNotExist) {
		return keysError(err)
	}
	err := keys.Edit(path, change)
	if errors.Is(err, keys.ErrUnknown) {
		return usageError{err}
	}
	if err != nil {
		return keysError(err)
	}
	return nil
}

func newKeysRotate() *cobra.Command {
	var path, expires, out string
	overlap := 24 * time.Hour
	cmd := &cobra.Command{
		Use:   "rotate ID --keys-file FILE",
		Short: "Make a key that grants what another does, and have that one expire",
		Long: `Make a key with another id and another secret that grants what a key does, and have the old one expire after --overlap. Until then
both are good. The new key keeps the time at which the old one was to expire, unless --expires says otherwise.`,
		Example: `  papertape keys rotate PK7Q2M4XTB3DJ6WN --keys-file papertape.keys --out desk7-new.key
  papertape keys rotate PK7Q2M4XTB3DJ6WN --keys-file papertape.keys --overlap 10m --expires 180d`,
		Args: exactArgs(1, "the id of a key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := mustHaveKeysFile(path); err != nil {
				return err
			}
			return rotateKey(cmd.OutOrStdout(), path, args[0], expires, out, overlap)
		},
	}
	keysFile(cmd.Flags(), &path)
	cmd.Flags().Var(decimal.Duration(&overlap, overlap, 0, durationMax), "overlap", "how long the old key is good for")
	cmd.Flags().StringVar(&expires, "expires", "", "when the new key ends, as with keys add")
	cmd.Flags().Var(pathFlag{&out}, "out", "write the id and the secret to this new `file`, for its owner alone")
	return cmd
}

func rotateKey(w io.Writer, path, id, expires, out string, overlap time.Duration) error {
	now := time.Now()
	until, err := keyUntil(expires, now)
	if err != nil {
		return usageError{fmt.Errorf("--expires: %w", err)}
	}
	file, err := keys.Inspect(path)
	if err != nil {
		return keysError(err)
	}
	k, err := file.Find(id)
	if err != nil {
		return usageError{err}
	}
	if k.ID = keys.NewID(); !until.IsZero() {
		k.Expires = until
	}
	return giveKey(w, path, out, &k, func(file *keys.File) error {
		old, err := file.Find(id)
		switch {
		case err != nil:
			return err
		case old.Expired(now):
			return fmt.Errorf("the key %s has expired; add another", id)
		}
		return errors.Join(file.Add(&k), file.Expire(id, now.Add(overlap)))
	})
}

func newKeysCheck() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check --keys-file FILE",
		Short: "Would a server take this file of keys?",
		Example: `  papertape keys check --keys-file papertape.keys
  papertape keys check --keys-file papertape.keys && kill -HUP $(pidof papertape)`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := mustHaveKeysFile(path); err != nil {
				return err
			}
			file, err := keys.Inspect(path)
			if err != nil {
				return keysError(err)
			}
			expired, all := 0, file.Keys()
			for i := range all {
				if all[i].Expired(time.Now()) {
					expired++
				}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is good: %s, %d expired\n", path, plural(len(all), "key"),
				expired)
			return err
		},
	}
	keysFile(cmd.Flags(), &path)
	return cmd
}
