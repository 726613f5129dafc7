package tape

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// decompressorBytesMax bounds the memory of a decompressor.
const decompressorBytesMax = 64 << 20

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// text is the text of a file, decompressed if it is compressed.
type text struct {
	in    io.ReadSeeker
	plain io.Reader
	zstd  *zstd.Decoder // nil: none
}

// rewind goes to the beginning of the file.
func (t *text) rewind() error {
	t.close()
	var magic [4]byte
	if _, err := t.in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	n, err := io.ReadFull(t.in, magic[:])
	if err != nil && !isEnd(err) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if _, err := t.in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix(magic[:n], gzipMagic):
		t.plain, err = gzip.NewReader(t.in)
		return err
	case bytes.HasPrefix(magic[:n], zstdMagic):
		// Without concurrency it has no goroutine.
		t.zstd, err = zstd.NewReader(t.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(decompressorBytesMax))
		t.plain = t.zstd
		return err
	}
	t.plain = t.in
	return nil
}

// Read reads decompressed bytes.
func (t *text) Read(b []byte) (int, error) {
	n, err := t.plain.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCut
	}
	return n, err
}

// errCut is what a decompressor meets at the end of a part of a file.
var errCut = errors.New("the compressed file ends too early; it is only a part of one, so copy it again")

// close releases the decompressor.
func (t *text) close() {
	if t.zstd != nil {
		t.zstd.Close()
		t.zstd = nil
	}
}
