package gateway

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// TestOpenSSL has another implementation of TLS as the client: it asks, changes its key, has the server change its own,
// and asks again each time. With TLS 1.2 it is refused.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl: install the package to try another implementation of TLS")
	}
	s := startTLS(t, nil)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: serverCertificate().Certificate[0]})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"s_client", "-connect", s.addr, "-CAfile", ca, "-verify_return_error", "-verify_hostname",
		"papertape.test", "-alpn", alpn}
	cmd := exec.Command(program, arguments...)
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	say := func(b []byte) {
		t.Helper()
		if _, err := in.Write(b); err != nil {
			t.Fatal(err, out.String())
		}
	}
	asks := func(id uint64) {
		t.Helper()
		say(codec.Append(nil, codec.TypePing, 0, id, &papertapev1.Ping{}))
		pong := binary.BigEndian.AppendUint16(nil, uint16(codec.TypePong))
		pong = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint16(pong, uint16(codec.FlagReply)), id)
		eventually(t, "it is answered", func() bool { return bytes.Contains([]byte(out.String()), pong) },
			func() { t.Log(out.String()) })
	}
	asks(0x1111_1111_1111)
	for i, command := range []string{"K\n", "k\n"} {
		say([]byte(command))
		eventually(t, "it has read the command", func() bool { return strings.Count(out.String(), "KEYUPDATE") == i+1 })
		asks(0x2222_2222_2222 + uint64(i))
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "Verification: OK") {
		t.Errorf("openssl: %v\n%q", err, out.String())
	}
	said, err := exec.Command(program, append(arguments, "-tls1_2")...).CombinedOutput()
	if err == nil || !strings.Contains(string(said), "alert number 70") {
		t.Errorf("TLS 1.2: %v, want alert 70\n%s", err, said)
	}
}
