package judge

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/papertape/papertape/codec"
)

// Echo checks an echo server with many connections at once, frames of all lengths, and
// writes that do not end where frames end. Each connection must get back exactly what it
// sent.
func Echo(t *testing.T, address string) {
	t.Helper()
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() { exchange(t, address, i) })
	}
	work.Wait()
}

func exchange(t *testing.T, address string, number int) {
	var sent []byte
	for i := range 200 {
		payload := bytes.Repeat([]byte{byte(number), byte(i)}, i*10)
		sent = codec.AppendFrame(sent, codec.TypeOrder, 0, uint64(i+1), payload)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close() //nolint:errcheck // it was read to the end
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	writing := make(chan error, 1)
	go func() {
		for rest := sent; ; rest = rest[1000+number:] {
			if len(rest) <= 1000+number {
				_, err := conn.Write(rest)
				writing <- err
				return
			}
			if _, err := conn.Write(rest[:1000+number]); err != nil {
				writing <- err
				return
			}
		}
	}()
	got := make([]byte, len(sent))
	if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("connection %d sent %d bytes and got %d, equal: %v: %v", number, len(sent), n,
			bytes.Equal(got[:n], sent[:n]), err)
	}
	if err := <-writing; err != nil {
		t.Errorf("connection %d: %v", number, err)
	}
}
