package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatNumber is the format of everything in the directory: keys, values, files. A program refuses a newer one.
const formatNumber = 1

// runRecord is M "run": what the newest run of a server wrote before anything else.
type runRecord struct {
	format uint64
	epoch  uint64
	mode   Mode
	runs   uint64 // how many there have been
}

// The format comes first and stays first, under the version of values that there is now, so that an old program can refuse a
// newer one by its number.
func (r *runRecord) append(value []byte) []byte {
	value = binary.AppendUvarint(value, r.format)
	value = binary.LittleEndian.AppendUint64(value, r.epoch)
	value = append(value, byte(r.mode))
	return binary.AppendUvarint(value, r.runs)
}

func (d *decoder) run(r *runRecord) {
	if r.format = d.unsigned(); r.format != formatNumber {
		d.b = nil // the rest is for others to read
		return
	}
	r.epoch = d.fixed()
	r.mode = Mode(d.byte())
	r.runs = d.unsigned()
	if r.epoch == 0 || r.mode != Sync && r.mode != Interval {
		d.fail(errNumber)
	}
}

// place is a block by number and hash; the zero one is the place before the first.
type place struct{ number, hash uint64 }

// markRecord is M "mark": up to which block the checkpoints have everything.
type markRecord struct {
	place
	accounts uint64 // how many there are, about: for the progress of the next start
}

func (m *markRecord) append(value []byte) []byte {
	value = binary.AppendUvarint(value, m.number)
	value = binary.LittleEndian.AppendUint64(value, m.hash)
	return binary.AppendUvarint(value, m.accounts)
}

func (d *decoder) mark(m *markRecord) {
	m.number = d.unsigned()
	m.hash = d.fixed()
	m.accounts = d.unsigned()
}

const (
	// cleanFile is there from a clean end of a run to the first write of the next: what the journal ended with.
	cleanFile = "CLEAN"
	// backupFile is there from a backup to the first start from it.
	backupFile = "BACKUP"
)

const backupText = "This is a backup of a papertape journal. The first start from it takes a new epoch and removes this file.\n"

// cleanMark is what cleanFile says.
type cleanMark struct {
	epoch uint64
	last  place
	mark  uint64
}

const cleanFormat = "papertape journal closed\nformat %d\nepoch %016x\ncommit %d\nhash %016x\nmark %d\n"

func (c *cleanMark) text() string {
	text := fmt.Sprintf(cleanFormat, formatNumber, c.epoch, c.last.number, c.last.hash, c.mark)
	return text + fmt.Sprintf("sum %08x\n", crc32.Checksum([]byte(text), castagnoli))
}

var errClean = errors.New("it does not say what a clean end of a run writes")

func parseCleanMark(text string) (c cleanMark, err error) {
	var format int
	_, err = fmt.Sscanf(text, cleanFormat, &format, &c.epoch, &c.last.number, &c.last.hash, &c.mark)
	if err != nil || format != formatNumber || c.text() != text { // the checksum included
		return c, errClean
	}
	return c, nil
}

// readFile returns ok == false where there is no such file.
func readFile(disk vfs.FS, dir, name string) (text string, ok bool, err error) {
	f, err := disk.Open(disk.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	const most = 1 << 12 // far more than any of these files has
	b, err := io.ReadAll(io.LimitReader(f, most))
	return string(b), err == nil, errors.Join(err, f.Close())
}

// temporarySuffix is what the name of a file ends with until it is whole.
const temporarySuffix = ".new"

// writeFile makes a file appear whole: after a crash it is there as it should be, or not at all.
func writeFile(disk vfs.FS, dir, name, text string) error {
	path, temporary := disk.PathJoin(dir, name), disk.PathJoin(dir, name+temporarySuffix)
	err := writeTemporary(disk, temporary, text)
	if err == nil {
		err = disk.Rename(temporary, path)
	}
	if err != nil {
		_ = disk.Remove(temporary) // it may be that there is none
		return err
	}
	return syncDir(disk, dir)
}

func writeTemporary(disk vfs.FS, path, text string) error {
	f, err := disk.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, strings.NewReader(text))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// removeFile returns when a file is gone for good. It need not be there.
func removeFile(disk vfs.FS, dir, name string) error {
	err := disk.Remove(disk.PathJoin(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(disk, dir)
}

func syncDir(disk vfs.FS, dir string) error {
	d, err := disk.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir makes a directory, and those above it, so that they are there after a crash.
func makeDir(disk vfs.FS, dir string) error {
	if in, err := disk.Stat(dir); err == nil && !in.IsDir() {
		return fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	} else if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := disk.PathDir(dir)
	if parent != dir {
		if err := makeDir(disk, parent); err != nil {
			return err
		}
	}
	if err := disk.MkdirAll(dir, privateDir); err != nil {
		return err
	}
	return syncDir(disk, parent)
}
