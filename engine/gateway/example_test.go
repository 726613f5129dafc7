package gateway_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/rs/zerolog"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

// A message of one's own: 0x8001 asks how many instruments an account holds, 0x8002 is the answer. Nothing in the
// server is touched for it; the handler sees the account at its place between two orders.
func ExampleGateway_Handle() {
	const howMany, soMany codec.Type = 0x8001, 0x8002
	universe := market.Default()
	prices := market.Fixed(universe)
	gw := gateway.New(gateway.Config{
		Listen: "127.0.0.1:0", EventLoops: 1, Server: "example",
		Limits: gateway.Limits{ConnectionsMax: 100, ConnectionsPreloginMax: 100}, RequestsInFlightMax: 16,
		OutboxBytesMax: 256 << 10, OutboxTotalBytesMax: 16 << 20, SocketSendBufferBytes: 64 << 10,
		Heartbeat: 15 * time.Second, LoginTimeout: 5 * time.Second,
		StallTimeout: 10 * time.Second, ShutdownTimeout: 5 * time.Second,
		Universe: universe, Prices: prices.Snapshot,
		Hooks: []gateway.Hooks{{OnLogin: func(s *gateway.Session) { fmt.Println("logged in:", s.Account()) }}},
	})
	gw.Handle(howMany, func(c *gateway.Call) gateway.Answer {
		text := fmt.Appendf(nil, "account %d holds %d instruments", c.Account, c.View.Len())
		return gateway.Answer{Type: soMany, Payload: text}
	})
	eng, err := engine.New(engine.Config{
		Shards: 1, Workers: 2, InboxOrdersMax: 1024, HistoryReadsMax: 4,
		HistoryMemoryBytesMax: 64 << 20, SessionsPerAccountMax: 8,
		Universe: universe, Prices: prices.Snapshot, Clock: func() int64 { return time.Now().UnixNano() },
		Journal: engine.NewMemoryJournal(), Outlet: gw, Log: zerolog.Nop(),
		Fatal: func(err error) { fmt.Fprintln(os.Stderr, err); os.Exit(1) },
	})
	if err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	if err := (simulator.Accounts{Count: 100, Seed: 1, Universe: universe}).Open(ctx, eng); err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() {
		ended <- gw.Serve(ctx, eng, func(addr string) { go ask(addr, howMany, soMany, stop) })
	}()
	if err := <-ended; err != nil {
		panic(err)
	}
	eng.Stop()
	// Output:
	// logged in: 100001
	// account 100001 holds 11 instruments
}

// ask is a client: it logs in, asks, prints the answer, and has the server stop.
func ask(addr string, howMany, soMany codec.Type, done func()) {
	defer done()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		panic(err)
	}
	defer conn.Close() //nolint:errcheck // the end of the example
	send := func(frame []byte) {
		if _, err := conn.Write(frame); err != nil {
			panic(err)
		}
	}
	send(codec.Append(nil, codec.TypeLogin, 0, 1, &papertapev1.Login{
		Account: 100001, Mode: papertapev1.ResumeMode_RESUME_MODE_QUICK,
	}))
	for in, buf := []byte(nil), make([]byte, 4096); ; {
		n, err := conn.Read(buf)
		if err != nil {
			panic(err)
		}
		in = append(in, buf[:n]...)
		for {
			f, n, err := codec.Cut(in, codec.LimitToClient)
			if err != nil {
				panic(err)
			}
			if n == 0 {
				break
			}
			in = in[n:]
			switch f.Type {
			case codec.TypeLoginReply:
				send(codec.AppendFrame(nil, howMany, 0, 2, nil))
			case soMany:
				fmt.Printf("%s\n", f.Payload)
				return
			}
		}
	}
}
