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
	zinxTasksMax = 1024 // requests waiting for a worker, zinx's default
	zinxReadMax  = 4 << 10
	zinxPatience = 10 * time.Second // for a client that does not read

	// zinxOther is the route of all messages without a route of their own.
	zinxOther = 0
)

// ZinxConfig configures zinx.
type ZinxConfig struct {
	Workers        int
	ConnectionsMax int
	// Buffered sends through zinx's queue and buffered writer, flushed every 10 ms, instead
	// of one write per message.
	Buffered bool
}

// Zinx echoes through a router.
func Zinx(ctx context.Context, address string, cfg ZinxConfig, listening func(string)) error {
	echo := handler(func(r ziface.IRequest) { zinxSend(r.GetConnection(), r.GetData(), cfg.Buffered) })
	return runZinx(ctx, address, cfg, map[codec.Type]handler{zinxOther: echo}, nil, nil, listening)
}

// zinxSend sends a frame. It stops a connection that does not accept it.
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

// runZinx runs zinx. A process can run only one: its configuration is global, and its
// workers never end.
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

// newZinx creates a server, without the banner and configuration that zinx would print on
// stdout.
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
		Host: host, TCPPort: number, MaxConn: cfg.ConnectionsMax, WorkerPoolSize: uint32(cfg.Workers),
		MaxWorkerTaskLen: zinxTasksMax,
		MaxPacketSize:    4 + codec.LimitAfterLogin, IOReadBuffSize: zinxReadMax, LogIsolationLevel: zlog.LogPanic,
	}, znet.WithPacket(zinxPack{})), nil
}

// waitFor returns when something listens on the address, since zinx does not report that.
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

// handler handles a request.
type handler func(ziface.IRequest)

type zinxRouter struct {
	znet.BaseRouter
	handle handler
}

// Handle implements zinx's router.
func (r *zinxRouter) Handle(request ziface.IRequest) { r.handle(request) }

// zinxPack sends a whole frame unchanged.
type zinxPack struct{}

// GetHeadLen returns the size of a frame's header.
func (zinxPack) GetHeadLen() uint32 { return codec.HeaderBytes }

// Pack returns the frame.
func (zinxPack) Pack(m ziface.IMessage) ([]byte, error) { return m.GetData(), nil }

// Unpack is only used by clients.
func (zinxPack) Unpack([]byte) (ziface.IMessage, error) {
	return nil, errors.New("a server unpacks nothing")
}

// zinxDecoder makes zinx cut the protocol's frames, and finds the route of each.
type zinxDecoder struct{ routes map[codec.Type]handler }

// GetLengthField says where a frame has its length.
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
