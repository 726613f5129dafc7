package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine/journal"
)

func newBackup() *cobra.Command {
	var server consoleFlags
	var data, out string
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy the ledger of a running server, or of a stopped one",
		Long: `Without --data: have a running server write a copy of its ledger, as of one moment, while it goes on. --out is then a
directory on the server's machine, as an absolute path. With --data: copy the ledger of a stopped server.

To restore a backup, start a server with --data on it, or on a copy of it. That begins a new epoch, since events that were
acknowledged after the backup are not in it: clients that resume are given a snapshot.`,
		Example: `  papertape backup --out /var/backups/papertape-1
  papertape backup --out /var/backups/papertape-1 --admin 10.0.0.7:7301 --admin-token-file token
  papertape backup --data ./papertape-data --out ./papertape-backup     of a server that does not run`,
		Args: exactArgs(0, "no arguments"),
	}
	server.register(cmd.Flags())
	cmd.Flags().Var(pathFlag{&data}, "data",
		"the data `directory` of a stopped server; without it, a running one is asked")
	cmd.Flags().Var(pathFlag{&out}, "out", "the `directory` to make")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if out == "" {
			return usageError{errors.New("backup needs a directory to write to; " +
				"name one that does not exist with --out")}
		}
		var b console.Backup
		var err error
		if cmd.Flags().Changed("data") {
			if cmd.Flags().Changed("admin") || cmd.Flags().Changed("admin-token-file") {
				return usageError{errors.New("--data is for a stopped server, --admin for a running one: " +
					"name one of the two")}
			}
			b, err = backupStopped(cmd, server.output, data, out)
		} else {
			b, err = backupRunning(cmd.Context(), &server, out)
		}
		if err != nil {
			return err
		}
		return printAs(cmd.OutOrStdout(), server.output, b, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s is a backup of %s; to restore it, start a server with --data on it: "+
				"a new epoch begins then\n", b.Out, printBytes(b.Bytes))
			return err
		})
	}
	return cmd
}

func backupRunning(ctx context.Context, server *consoleFlags, out string) (console.Backup, error) {
	if !filepath.IsAbs(out) {
		here, err := filepath.Abs(out)
		if err != nil {
			return console.Backup{}, err
		}
		hint := ""
		if config.IsLoopback(server.admin) {
			hint = fmt.Sprintf("; if the server runs here, that may be %s", here)
		}
		return console.Backup{}, usageError{fmt.Errorf("--out %s: the directory is made on the server's machine, "+
			"so write an absolute path%s", out, hint)}
	}
	c, err := server.client()
	if err != nil {
		return console.Backup{}, err
	}
	return c.Backup(ctx, filepath.Clean(out))
}

func backupStopped(cmd *cobra.Command, output, data, out string) (b console.Backup, err error) {
	err = errors.Join(checkOutput(output), mustHaveData("backup", data), mustBeNew("backup", "--out", out))
	if err != nil {
		return b, err
	}
	out = filepath.Clean(out)
	if err := checkNewDirectory(data, out); err != nil {
		return b, usageError{fmt.Errorf("--out: %w", err)}
	}
	if err := journal.BackupStopped(data, out, journalOptions(quietLog(cmd.ErrOrStderr()))); err != nil {
		return b, outError(out, err)
	}
	b.Out = out
	b.Bytes, err = directoryBytes(out)
	return b, err
}

// printBytes formats a size for people.
func printBytes(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// backUp copies the running server's ledger to a new directory, and returns the size of the copy.
func (l *ledger) backUp(out string) (int64, error) {
	if !l.backup.TryLock() {
		return 0, console.Conflict("another backup is under way")
	}
	defer l.backup.Unlock()
	j := l.journal.Load()
	switch {
	case l.closed:
		return 0, fmt.Errorf("%w: the server is stopping", console.ErrNotReady)
	case j == nil:
		return 0, fmt.Errorf("%w: it is still recovering", console.ErrNotReady)
	}
	if err := checkNewDirectory(l.dir, out); err != nil {
		return 0, console.Conflict(err.Error())
	}
	var target *journal.TargetError
	if err := j.Backup(out); errors.As(err, &target) {
		return 0, console.Conflict(err.Error())
	} else if err != nil {
		return 0, err
	}
	return directoryBytes(out)
}

// checkNewDirectory returns an error if out cannot become a copy of the data directory.
func checkNewDirectory(data, out string) error {
	if _, err := os.Lstat(out); err == nil {
		return fmt.Errorf("%s exists, and a backup is written over nothing; name a directory that does not exist", out)
	}
	parent := filepath.Dir(out)
	switch in, err := os.Stat(parent); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s to put the backup into: %w", parent, err)
	case err != nil:
		return fmt.Errorf("no backup can be put into %s: %w", parent, err)
	case !in.IsDir():
		return fmt.Errorf("%s is not a directory, so no backup can be put into it", parent)
	}
	if err := mustBeOutside(data, out); err != nil {
		return err
	}
	return checkBackupPlace(out)
}

// mustBeOutside refuses an out that lies inside the data directory. Only the beginning of out's
// path needs to exist.
func mustBeOutside(data, out string) error {
	whole, err := realPath(data)
	if err != nil {
		return err
	}
	for dir := filepath.Dir(out); ; dir = filepath.Dir(dir) {
		inside, err := realPath(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && dir != filepath.Dir(dir):
			continue
		case err != nil:
			return err
		case inside == whole || strings.HasPrefix(inside, whole+string(filepath.Separator)):
			return fmt.Errorf("%s is inside the data directory %s; put it elsewhere, best on another disk", out, data)
		}
		return nil
	}
}

// checkBackupPlace returns an error if no backup can be begun at out: a backup is written under
// another name until it is complete. Later failures are failures of the ledger or of the disk, and
// not the fault of whoever named the place.
func checkBackupPlace(out string) error {
	unfinished := journal.Unfinished(out)
	switch err := os.Mkdir(unfinished, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is left over from a backup that was cut off, or another one is writing it; remove it, "+
			"or name another directory", unfinished)
	case errors.Is(err, syscall.ENAMETOOLONG):
		return fmt.Errorf("the name of the backup is too long for its disk; write a shorter one: %w", err)
	case err != nil:
		return fmt.Errorf("no backup can be made there: %w", err)
	}
	return os.Remove(unfinished)
}

func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// directoryBytes returns the total length of the files in a directory.
func directoryBytes(dir string) (sum int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		in, err := d.Info()
		if err == nil {
			sum += in.Size()
		}
		return err
	})
	return sum, err
}
