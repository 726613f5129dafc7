package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// FileBytesMax is the size at which a file is full.
const FileBytesMax = 64 << 20

// pendingMax is how many lines may wait for Open.
const pendingMax = 64

// ErrNotOpen is returned by Write for what is asked before Open.
var ErrNotOpen = errors.New("the audit is not open yet")

// ErrClosed is returned by Write after Close.
var ErrClosed = errors.New("the audit is closed")

// Options are those of a Log. The zero value is for a server.
type Options struct {
	FileBytesMax int64            // 0: FileBytesMax
	Clock        func() time.Time // nil: time.Now
}

// Log is an audit. Make one with New. It is safe for concurrent use.
type Log struct {
	o Options

	mu      sync.Mutex
	state   state
	path    string // "": in memory
	file    file   // nil: in memory, or it could not be begun after the last one was full
	size    int64  // of what is complete in the file
	torn    bool   // bytes after size may be in the file
	number  uint64 // of the newest line
	head    string // hash of the newest line
	pending []Record
	memory  [][]byte // newest lines, without line feeds, if there is no file
	create  func(path string) (file, error)
}

type state uint8

const (
	waiting state = iota // for Open
	open
	closed
)

// file is what a Log does with a file.
type file interface {
	Write([]byte) (int, error)
	Sync() error
	Truncate(size int64) error
	Close() error
}

// New returns a log that is to be opened.
func New(o Options) *Log {
	if o.FileBytesMax == 0 {
		o.FileBytesMax = FileBytesMax
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Log{o: o, head: nothing, create: createFile}
}

// memoryLinesMax is how many lines are kept in memory where there is no file.
const memoryLinesMax = 1000

// OpenMemory opens a log that is gone with the process.
func (l *Log) OpenMemory() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = open
	return l.writePending()
}

// Open opens the log in a file, which only its owner may read, or begins one. If a crash cut off the
// last line, it is removed, and a line says so. Nobody else may write the file meanwhile.
func (l *Log) Open(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.path = path
	cut, err := l.find()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	l.state = open
	if cut > 0 {
		detail := fmt.Sprintf("%d bytes of a line that was not complete were removed; nobody was told of it", cut)
		if _, err := l.write(Record{Step: Noted, What: "mended", Detail: detail}); err != nil {
			return err
		}
	}
	return l.writePending()
}

// find opens the file and finds its last line, or that of the file before it. It returns how many bytes
// of an incomplete line it cut off.
func (l *Log) find() (cut int64, err error) {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, l.begin()
	}
	if err != nil {
		return 0, err
	}
	cut, err = l.readEnd(f)
	if err == nil {
		err = claim(f)
	}
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	l.file = f
	return cut, nil
}

// claim locks a file for this process.
func claim(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is in use by another server: %w", f.Name(), err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", f.Name())
	case info.Mode().Perm()&0o077 != 0:
		return f.Chmod(0o600)
	}
	return nil
}

// readEnd reads the last line of a file, and cuts off what follows it.
func (l *Log) readEnd(f *os.File) (cut int64, err error) {
	end, err := f.Seek(0, 2)
	if err != nil {
		return 0, err
	}
	from := max(0, end-2*lineBytesMax)
	tail := make([]byte, end-from)
	if _, err := f.ReadAt(tail, from); err != nil && len(tail) > 0 {
		return 0, err
	}
	complete := bytes.LastIndexByte(tail, '\n') + 1
	l.size, cut = from+int64(complete), int64(len(tail)-complete)
	if cut > lineBytesMax {
		return 0, fmt.Errorf("%s does not end as an audit does; move it away to begin another", f.Name())
	}
	if cut > 0 {
		if err := errors.Join(f.Truncate(l.size), f.Sync()); err != nil {
			return 0, err
		}
	}
	if complete == 0 { // a first line that was not complete
		return cut, l.continueRotated()
	}
	line := tail[bytes.LastIndexByte(tail[:complete-1], '\n')+1 : complete-1]
	return cut, l.continueAfter(f.Name(), line)
}

// continueAfter sets number and head to those of a line.
func (l *Log) continueAfter(name string, line []byte) error {
	r, err := parseLine(line)
	if err != nil {
		return fmt.Errorf("%s: the last line: %w; papertape audit verify says more; move the file away to begin "+
			"another", name, err)
	}
	l.number, l.head = r.Number, hashOf(line)
	return nil
}

// continueRotated sets number and head to those of the last line of the newest full file, if there
// is one.
func (l *Log) continueRotated() error {
	names, err := l.full()
	if err != nil || len(names) == 0 {
		return err
	}
	newest := names[0]
	text, err := os.ReadFile(newest)
	if err != nil {
		return err
	}
	text = bytes.TrimSuffix(text, []byte{'\n'})
	return l.continueAfter(newest, text[bytes.LastIndexByte(text, '\n')+1:])
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// begin begins a file.
func (l *Log) begin() error {
	if l.number == 0 {
		if err := l.continueRotated(); err != nil {
			return err
		}
	}
	f, err := l.create(l.path)
	if err != nil {
		return err
	}
	l.file, l.size, l.torn = f, 0, false
	return nil
}

func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(claim(f), syncDirectory(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// syncDirectory makes a new name of a file safe.
func syncDirectory(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Write writes a line, and returns its number when it is on the disk. Before Open it keeps a few
// refusals for later, and returns ErrNotOpen for everything else. If it returns an error, nothing of
// the line remains.
func (l *Log) Write(r Record) (number uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.state == closed:
		return 0, ErrClosed
	case l.state == waiting && (r.Step == Refused || r.Step == Noted):
		if r.Time = l.o.Clock(); len(l.pending) < pendingMax {
			l.pending = append(l.pending, r)
		}
		return 0, nil
	case l.state == waiting:
		return 0, ErrNotOpen
	}
	return l.write(r)
}

func (l *Log) writePending() error {
	for _, r := range l.pending {
		if _, err := l.write(r); err != nil {
			return err
		}
	}
	l.pending = nil
	return nil
}

func (l *Log) write(r Record) (uint64, error) {
	if r.Time.IsZero() {
		r.Time = l.o.Clock()
	}
	r.Time, r.Number, r.Previous = r.Time.UTC(), l.number+1, l.head
	r.clip()
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	if err := l.append(line); err != nil {
		return 0, fmt.Errorf("the audit cannot be written: %w", err)
	}
	l.number, l.head = r.Number, hashOf(line[:len(line)-1])
	return r.Number, nil
}

// append writes a line to the disk, after the last one.
func (l *Log) append(line []byte) error {
	if l.path == "" {
		l.memory = append(l.memory, line[:len(line)-1])
		l.memory = l.memory[max(0, len(l.memory)-memoryLinesMax):]
		return nil
	}
	if l.file != nil && l.size > 0 && l.size+int64(len(line)) > l.o.FileBytesMax {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.file == nil {
		if err := l.begin(); err != nil {
			return err
		}
	}
	if l.torn {
		if err := l.file.Truncate(l.size); err != nil {
			return err
		}
	}
	l.torn = true
	_, err := l.file.Write(line)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// What remains, if this fails too, is removed before the next line or at the next start.
		l.torn = l.file.Truncate(l.size) != nil
		return err
	}
	l.torn = false
	l.size += int64(len(line))
	return nil
}

// rotate puts a full file away.
func (l *Log) rotate() error {
	full := fmt.Sprintf("%s.%d", l.path, l.number)
	if _, err := os.Lstat(full); err == nil {
		return fmt.Errorf("%s is full, and %s, which it is to be called, exists", l.path, full)
	}
	if err := os.Rename(l.path, full); err != nil {
		return err
	}
	err := errors.Join(syncDirectory(l.path), l.file.Close())
	l.file = nil
	return err
}

// Head returns the number and the hash of the newest line.
func (l *Log) Head() (number uint64, hash string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.number, l.head
}

// Memory returns the newest lines of a log in memory.
func (l *Log) Memory() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	records := make([]Record, 0, len(l.memory))
	for _, line := range l.memory {
		if r, err := parseLine(line); err == nil {
			records = append(records, r)
		}
	}
	return records
}

// Close closes the log. It may be called more than once.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state = closed
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}
