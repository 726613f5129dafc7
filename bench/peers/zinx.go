package peers

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/aceld/zinx/zconf"
	"github.com/aceld/zinx/ziface"
	"github.com/aceld/zinx/zlog"
	"github.com/aceld/zinx/znet"

	"github.com/papertape/papertape/bench/peers/zinxconf"
	"github.com/papertape/papertape/codec"
)

const (
	zinxTasksMax = 1024 // requests that wait for a worker, as zinx has it
	zinxReadMax  = 4 << 10
	zinxPatience = 10 * time.Second // for a client that takes nothing

	// zinxOther is the route of all messages that have none of their own.
	zinxOther = 0
)

// ZinxConfig says how zinx is set up.
type ZinxConfig struct {
	Workers        int
	ConnectionsMax int
	// Buffered sends through zinx's queue and buffered writer, which it flushes every 10 ms, instead of by one write per message.
	Buffered bool
}

// Zinx echoes through a router.
func Zinx(ctx context.Context, address string, cfg ZinxConfig, listening func(string)) error {
	echo := handler(func(r ziface.IRequest) { zinxSend(r.GetConnection(), r.GetData(), cfg.Buffered) })
	return runZinx(ctx, address, cfg, map[codec.Type]handler{zinxOther: echo}, nil, nil, listening)
}

// zinxSend sends a frame; a connection that does not take it is stopped.
func zinxSend(c ziface.IConnection, frame []byte, buffered bool) {
	var err error
	if buffered {
		err = c.SendBuffMsg(zinxOther, frame, ziface.WithSendMsgTimeout(zinxPatience))
	} else {
		err = c.SendMsg(zinxOther, frame)
	}
	if err != nil {
		c.Stop()
	}
}

// runZinx runs zinx. There is one in a process, whose configuration is global, and whose workers stay.
func runZinx(ctx context.Context, address string, cfg ZinxConfig, routes map[codec.Type]handler,
	connected, disconnected func(ziface.IConnection), listening func(string)) error {
	if !zinxconf.Configured {
		return errors.New("zinx was not configured while it was loaded")
	}
	address, err := freeAddress(address)
	if err != nil {
		return err
	}
	s, err := newZinx(address, cfg)
	if err != nil {
		return err
	}
	s.SetDecoder(&zinxDecoder{routes})
	for t, h := range routes {
		s.AddRouter(uint32(t), &zinxRouter{handle: h})
	}
	if connected != nil {
		s.SetOnConnStart(connected)
		s.SetOnConnStop(disconnected)
	}
	s.Start()
	if err := waitFor(ctx, address); err != nil {
		return err
	}
	listening(address)
	<-ctx.Done()
	s.Stop()
	for s.GetConnMgr().Len() > 0 { // each is closed on its own goroutine
		time.Sleep(time.Millisecond)
	}
	return nil
}

// newZinx makes a server, which would print its emblem and its configuration on stdout.
func newZinx(address string, cfg ZinxConfig) (ziface.IServer, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	nothing, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	stdout := os.Stdout
	os.Stdout = nothing
	defer func() {
		os.Stdout = stdout
		_ = nothing.Close()
	}()
	zconf.GlobalObject.Mode = zconf.ServerModeTcp
	return znet.NewUserConfServer(&zconf.Config{
		Host: host, TCPPort: number, MaxConn: cfg.ConnectionsMax, WorkerPoolSize: uint32(cfg.Workers), MaxWorkerTaskLen: zinxTasksMax,
		MaxPacketSize: 4 + codec.LimitAfterLogin, IOReadBuffSize: zinxReadMax, LogIsolationLevel: zlog.LogPanic,
	}, znet.WithPacket(zinxPack{})), nil
}

// waitFor returns when somebody listens there: zinx does not say so.
func waitFor(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, zinxPatience)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return fmt.Errorf("zinx does not listen on %s: %w", address, err)
		}
		time.Sleep(time.Millisecond)
	}
}

// handler does a request.
type handler func(ziface.IRequest)

type zinxRouter struct {
	znet.BaseRouter
	handle handler
}

// Handle is what zinx calls.
func (r *zinxRouter) Handle(request ziface.IRequest) { r.handle(request) }

// zinxPack sends a whole frame as it is.
type zinxPack struct{}

// GetHeadLen is the size of a frame's header.
func (zinxPack) GetHeadLen() uint32 { return codec.HeaderBytes }

// Pack is the frame.
func (zinxPack) Pack(m ziface.IMessage) ([]byte, error) { return m.GetData(), nil }

// Unpack is of clients.
func (zinxPack) Unpack([]byte) (ziface.IMessage, error) {
	return nil, errors.New("a server unpacks nothing")
}

// zinxDecoder has zinx cut the protocol's frames, and finds the route of each.
type zinxDecoder struct{ routes map[codec.Type]handler }

// GetLengthField is where a frame says how long it is.
func (d *zinxDecoder) GetLengthField() *ziface.LengthField {
	return &ziface.LengthField{Order: binary.BigEndian, MaxFrameLength: 4 + codec.LimitAfterLogin, LengthFieldLength: 4}
}

// Intercept is called with each frame.
func (d *zinxDecoder) Intercept(chain ziface.IChain) ziface.IcResp {
	m := chain.GetIMessage()
	if m == nil {
		return chain.ProceedWithIMessage(nil, nil)
	}
	frame := m.GetData()
	if len(frame) >= codec.HeaderBytes {
		if t := codec.Type(binary.BigEndian.Uint16(frame[4:])); d.routes[t] != nil {
			m.SetMsgID(uint32(t))
		}
	}
	return chain.ProceedWithIMessage(m, frame)
}
