package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// The layout of a cursor file, with all integers in big-endian order:
//
//	 0  "papercur"
//	 8  version, 2 bytes: 1
//	10  epoch, 8 bytes
//	18  length of the state, 4 bytes; the state, a Holdings message of the protocol with its state_hash
//	    length of the note, 4 bytes; the note
//	    CRC-32C of all before it, 4 bytes
const (
	cursorMagic        = "papercur"
	cursorVersion      = 1
	cursorOverhead     = len(cursorMagic) + 2 + 8 + 4 + 4 + 4
	cursorStateBytes   = 4 * codec.LimitToClient // more than 512 rows need
	cursorFileBytesMax = cursorOverhead + cursorStateBytes + NoteBytesMax
	cursorSuffix       = ".new" // of the new file that replaces the cursor once it is complete
	saveEventsMax      = 256    // updates after which Next saves the cursor although it need not wait
)

// NoteBytesMax is the largest note that Save takes.
const NoteBytesMax = 1 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CursorError says that a cursor file cannot be used. To begin anew from a snapshot, remove the
// file.
type CursorError struct {
	Path string
	Text string
}

// Error names the file and says what is wrong with it.
func (e *CursorError) Error() string {
	return fmt.Sprintf("cursor %s: %s (remove the file to begin anew from a snapshot)", e.Path, e.Text)
}

// cursor is the content of a cursor file.
type cursor struct {
	state *State
	note  []byte // nil: none
}

// encode returns the bytes of the file.
func (c *cursor) encode() ([]byte, error) {
	state, err := c.state.holdings().message().MarshalVT()
	if err != nil {
		return nil, err
	}
	if len(state) > cursorStateBytes || len(c.note) > NoteBytesMax {
		return nil, fmt.Errorf("the state is of %d bytes and the note of %d: at most %d and %d",
			len(state), len(c.note), cursorStateBytes, NoteBytesMax)
	}
	b := make([]byte, 0, cursorOverhead+len(state)+len(c.note))
	b = binary.BigEndian.AppendUint16(append(b, cursorMagic...), cursorVersion)
	b = binary.BigEndian.AppendUint64(b, c.state.Epoch)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(state))), state...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(c.note))), c.note...)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli)), nil
}

// parseCursor reads what encode returns.
func parseCursor(b []byte) (*cursor, error) {
	if len(b) < cursorOverhead || !bytes.HasPrefix(b, []byte(cursorMagic)) {
		return nil, errors.New("it is not a cursor file, or only the beginning of one")
	}
	if version := binary.BigEndian.Uint16(b[8:]); version != cursorVersion {
		return nil, fmt.Errorf("it is of version %d: this program reads version %d", version, cursorVersion)
	}
	body, sum := b[:len(b)-4], binary.BigEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errors.New("it is damaged: its checksum does not fit")
	}
	epoch, rest := binary.BigEndian.Uint64(body[10:]), body[18:]
	encoded, rest, ok := cutLengthPrefixed(rest)
	note, rest, noted := cutLengthPrefixed(rest)
	if !ok || !noted || len(rest) > 0 || len(note) > NoteBytesMax {
		return nil, errors.New("it is damaged: its lengths do not fit")
	}
	h := new(papertapev1.Holdings)
	if err := codec.Unmarshal(encoded, h); err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	c := &cursor{state: stateOf(holdingsFrom(h), epoch)}
	if len(note) > 0 {
		c.note = bytes.Clone(note)
	}
	if hash := c.state.Hash(); hash != h.GetStateHash() {
		return nil, fmt.Errorf("it is damaged: the state's hash is %016x, and %016x was noted", hash, h.GetStateHash())
	}
	return c, nil
}

// cutLengthPrefixed cuts off the bytes that follow a length of four bytes.
func cutLengthPrefixed(b []byte) (cut, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := uint64(binary.BigEndian.Uint32(b))
	if b = b[4:]; n > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// loadCursor reads a cursor file. It returns nil if there is none.
func loadCursor(path string, account uint64) (*cursor, error) {
	// Opening a pipe would block for as long as nobody writes to it.
	if in, err := os.Stat(path); err == nil && !in.Mode().IsRegular() {
		return nil, fmt.Errorf("read the cursor: %s is not a file; name one that a client has written, or "+
			"that does not exist", path)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the cursor: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, int64(cursorFileBytesMax)+1))
	if err != nil {
		return nil, fmt.Errorf("read the cursor: %w", err)
	}
	c, err := parseCursor(b)
	if err != nil {
		return nil, &CursorError{Path: path, Text: err.Error()}
	}
	if c.state.Account != account {
		return nil, &CursorError{Path: path, Text: fmt.Sprintf("it is of account %d: expected account %d",
			c.state.Account, account)}
	}
	return c, nil
}

// save replaces the cursor file atomically. It writes and syncs a new file beside it, renames
// that, and syncs the directory.
func (c *cursor) save(path string) error {
	b, err := c.encode()
	if err != nil {
		return err
	}
	if err := writeSynced(path+cursorSuffix, b); err != nil {
		return err
	}
	if err := os.Rename(path+cursorSuffix, path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

// syncDirectory makes a rename durable. Windows cannot sync a directory.
func syncDirectory(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Save stores the state together with a note of the caller's own in the cursor file: either
// both or neither. The state is as of the last update that Next returned. So Save is called
// from the goroutine that calls Next, after the update has been processed and its outcome put
// into the note. Note returns the note after a restart.
//
// From then on, and after a restart too, only Save moves the cursor, so that state and note
// always belong together: after a restart of the program, events handed out after the last Save
// come again. Save(nil) saves without a note, and the cursor then moves by itself again: when
// Next is called after an update (before it waits, or after 256 events at the latest), and by
// Close.
func (a *Account) Save(note []byte) error {
	if a.options.Cursor == "" {
		return errors.New("save the cursor: the account has none; AccountOptions.Cursor names its file")
	}
	if len(note) > NoteBytesMax {
		return fmt.Errorf("save the cursor: the note is of %d bytes, at most %d", len(note), NoteBytesMax)
	}
	a.saving.Lock()
	defer a.saving.Unlock()
	return a.saveWith(bytes.Clone(note))
}

// Note returns what Save stored last, in this run of the program or an earlier one. It is nil
// if there is no note.
func (a *Account) Note() []byte {
	a.saving.Lock()
	defer a.saving.Unlock()
	return bytes.Clone(a.note)
}

// saveDue saves the cursor if that moves by itself: at once if now is set, else when enough
// updates have been handed out since the last save.
func (a *Account) saveDue(now bool) error {
	if a.options.Cursor == "" {
		return nil
	}
	if unsaved := a.stream.unsaved(); unsaved == 0 || !now && unsaved < saveEventsMax {
		return nil
	}
	a.saving.Lock()
	defer a.saving.Unlock()
	if len(a.note) > 0 {
		return nil
	}
	return a.saveWith(nil)
}

// saveWith saves the state and the note. The caller holds a.saving.
func (a *Account) saveWith(note []byte) error {
	state, moved := a.stream.current()
	c := cursor{state: state, note: note}
	if err := c.save(a.options.Cursor); err != nil {
		return fmt.Errorf("save the cursor: %w", err)
	}
	a.note = note
	a.stream.markSaved(moved)
	return nil
}
