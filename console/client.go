package console

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/papertape/papertape/usertext"
)

const (
	clientTimeout  = 15 * time.Second // longer than the server's answerTimeout
	answerBytesMax = 64 << 20         // the sessions of 100,000 connections take some 20 MB
)

// Client talks to a server's console. Make one with NewClient or Dial. It is safe for concurrent use.
type Client struct {
	address string
	base    string // with which URLs begin
	token   string
	http    http.Client
}

// ClientConfig says how to reach a console.
type ClientConfig struct {
	Address string      // host:port, with https:// in front of it for TLS
	Token   string      // of a key, or of the server's token file; "": none
	TLS     *tls.Config // nil: the machine's certificates
	NoLocal bool        // do not use the socket, although the server is on this machine
}

// NewClient returns a client of the console at address, a host:port. token is empty if there is
// none. Then a server of the same user on this machine is asked by its socket, where it needs none.
func NewClient(address, token string) *Client {
	return Dial(ClientConfig{Address: address, Token: token})
}

// Dial returns a client. It connects when it is used.
func Dial(cfg ClientConfig) *Client {
	address, secure := strings.CutPrefix(cfg.Address, httpsScheme)
	transport := &http.Transport{DisableKeepAlives: true} // a command makes one request and ends
	c := &Client{address: address, base: "http://" + address, token: cfg.Token}
	switch {
	case secure:
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
		if cfg.TLS != nil {
			transport.TLSClientConfig = cfg.TLS.Clone()
		}
		c.base = httpsScheme + address
	case cfg.Token == "" && !cfg.NoLocal && isLoopback(address):
		transport.DialContext = dialLocalFirst
	}
	c.http = http.Client{
		Timeout:   clientTimeout,
		Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a console never redirects, and the token must not go to another server
		},
	}
	return c
}

const httpsScheme = "https://"

// dialLocalFirst connects by the socket on this machine, or else by TCP.
func dialLocalFirst(ctx context.Context, network, address string) (net.Conn, error) {
	if conn, ok := dialLocal(ctx, address); ok {
		return conn, nil
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// isLoopback reports whether an address can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == localhost || err == nil && ip.Unmap().IsLoopback()
}

// Error is an answer other than 200. Its message is the console's sentence.
type Error struct {
	Status       int    // HTTP status
	Code         string // for programs: unknown_account, not_ready …
	Text         string
	InTheWay     []string // of a refused bust: the trades to take back first, newest first
	MoreInTheWay bool     // there are more of them
}

// Error returns the console's sentence, made safe for a terminal.
func (e *Error) Error() string { return usertext.Shown(e.Text) }

// Holdings returns what an account holds.
func (c *Client) Holdings(ctx context.Context, account uint64) (Holdings, error) {
	var h Holdings
	err := c.do(ctx, http.MethodGet, accountPath(account, "holdings"), nil, &h)
	return h, err
}

// History returns up to limit events (0: 20; at most 100) with sequences below before (0: from
// the newest), newest first.
func (c *Client) History(ctx context.Context, account, before uint64, limit int) (History, error) {
	query := url.Values{"before": {strconv.FormatUint(before, 10)}, "limit": {strconv.Itoa(limit)}}
	var h History
	err := c.do(ctx, http.MethodGet, accountPath(account, "history")+"?"+query.Encode(), nil, &h)
	return h, err
}

// Simulator returns the state of the simulated trades.
func (c *Client) Simulator(ctx context.Context) (Simulator, error) {
	var s Simulator
	err := c.do(ctx, http.MethodGet, simulatorPath, nil, &s)
	return s, err
}

// SetRate sets the rate of simulated trades, in fills per second, and returns the resulting
// state.
func (c *Client) SetRate(ctx context.Context, rate float64) (Simulator, error) {
	body, err := json.Marshal(changeFlow{Rate: &rate})
	if err != nil {
		return Simulator{}, fmt.Errorf("a rate of %v cannot be sent: %w", rate, err)
	}
	var s Simulator
	err = c.do(ctx, http.MethodPut, simulatorPath, body, &s)
	return s, err
}

// Accounts returns up to limit accounts (0: 100; at most 1000) with numbers above after, by
// number.
func (c *Client) Accounts(ctx context.Context, after uint64, limit int) (Accounts, error) {
	query := url.Values{"after": {strconv.FormatUint(after, 10)}, "limit": {strconv.Itoa(limit)}}
	var a Accounts
	err := c.do(ctx, http.MethodGet, "/api/v1/accounts?"+query.Encode(), nil, &a)
	return a, err
}

// Server returns what the server is, what it may hold, and what whoever asks may do.
func (c *Client) Server(ctx context.Context) (ServerInfo, error) {
	var s ServerInfo
	err := c.do(ctx, http.MethodGet, "/api/v1/server", nil, &s)
	return s, err
}

// Metrics returns what the server measures, in the text form of Prometheus.
func (c *Client) Metrics(ctx context.Context) (string, error) {
	var text []byte
	err := c.do(ctx, http.MethodGet, "/metrics", nil, &text)
	return string(text), err
}

// AccountSearch says which accounts are wanted, and in which order.
type AccountSearch struct {
	Prefix string // digits that their numbers begin with; empty: all
	Sort   string // as the parameter sort of /api/v1/accounts; empty: by number
	Limit  int    // at most 1000; 0: 100
}

// SearchAccounts returns the first of the accounts that are wanted.
func (c *Client) SearchAccounts(ctx context.Context, q AccountSearch) (Accounts, error) {
	var a Accounts
	err := c.do(ctx, http.MethodGet, "/api/v1/accounts"+searchQuery(q.Limit, "q", q.Prefix, "sort", q.Sort), nil, &a)
	return a, err
}

// SessionSearch says which sessions are wanted, and in which order.
type SessionSearch struct {
	Account uint64 // 0: of all
	State   string // live, catching_up or not_logged_in; empty: all
	Remote  string // the beginning of their address; empty: all
	Sort    string // as the parameter sort of /api/v1/sessions; empty: by uid
	Limit   int    // at most 1000; 0: no limit
}

// SearchSessions returns the first of the sessions that are wanted.
func (c *Client) SearchSessions(ctx context.Context, q SessionSearch) (Sessions, error) {
	account := ""
	if q.Account != 0 {
		account = strconv.FormatUint(q.Account, 10)
	}
	var s Sessions
	err := c.do(ctx, http.MethodGet, "/api/v1/sessions"+searchQuery(q.Limit, "account", account, "state", q.State,
		"remote", q.Remote, "sort", q.Sort), nil, &s)
	return s, err
}

// searchQuery makes a query of a limit and of names with their values, without what is empty.
func searchQuery(limit int, namesAndValues ...string) string {
	query := make(url.Values)
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	for i := 0; i < len(namesAndValues); i += 2 {
		if v := namesAndValues[i+1]; v != "" {
			query.Set(namesAndValues[i], v)
		}
	}
	if len(query) == 0 {
		return ""
	}
	return "?" + query.Encode()
}

// Sessions returns all client connections, by uid.
func (c *Client) Sessions(ctx context.Context) (Sessions, error) {
	var s Sessions
	err := c.do(ctx, http.MethodGet, "/api/v1/sessions", nil, &s)
	return s, err
}

// Kick ends a session, and returns it as it was. The client is told the reason; if that is
// empty, that an operator did it.
func (c *Client) Kick(ctx context.Context, uid uint64, reason string) (Session, error) {
	var body []byte
	if reason != "" {
		var err error
		if body, err = json.Marshal(kickRequest{&reason}); err != nil {
			return Session{}, fmt.Errorf("the reason %q cannot be sent: %w", reason, err)
		}
	}
	var s Session
	err := c.do(ctx, http.MethodDelete, fmt.Sprintf("/api/v1/sessions/%d", uid), body, &s)
	return s, err
}

// Counters returns the server's counters.
func (c *Client) Counters(ctx context.Context) (Counters, error) {
	var n Counters
	err := c.do(ctx, http.MethodGet, "/api/v1/counters", nil, &n)
	return n, err
}

// Instruments returns everything that is traded, with current prices.
func (c *Client) Instruments(ctx context.Context) (Instruments, error) {
	var i Instruments
	err := c.do(ctx, http.MethodGet, "/api/v1/instruments", nil, &i)
	return i, err
}

// LogLevel returns the level of the server's log.
func (c *Client) LogLevel(ctx context.Context) (string, error) {
	var l logLevel
	err := c.do(ctx, http.MethodGet, logPath, nil, &l)
	return l.Level, err
}

// SetLogLevel sets the level of the server's log, and returns the resulting level.
func (c *Client) SetLogLevel(ctx context.Context, level string) (string, error) {
	body, err := json.Marshal(logLevel{level})
	if err != nil {
		return "", fmt.Errorf("the level %q cannot be sent: %w", level, err)
	}
	var l logLevel
	err = c.do(ctx, http.MethodPut, logPath, body, &l)
	return l.Level, err
}

// LoginCode makes a code that logs a browser in once, as whoever asks.
func (c *Client) LoginCode(ctx context.Context) (LoginCode, error) {
	var code LoginCode
	err := c.do(ctx, http.MethodPost, codePath, nil, &code)
	return code, err
}

// Ready returns nil if the server is ready, and otherwise why it is not.
func (c *Client) Ready(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/readyz", nil, new(status))
}

const (
	simulatorPath = "/api/v1/simulator"
	logPath       = "/api/v1/log"
)

func accountPath(account uint64, what string) string {
	return fmt.Sprintf("/api/v1/accounts/%d/%s", account, what)
}

// do sends a request and decodes the answer into v, or, if that is a *[]byte, keeps it there as it came.
func (c *Client) do(ctx context.Context, method, path string, body []byte, v any) error {
	if c.token != "" && !strings.HasPrefix(c.base, httpsScheme) && !isLoopback(c.address) {
		return fmt.Errorf("the token is not sent to %s unencrypted, where others on the way would read it; "+
			"write https://%[1]s, or forward a port of this machine to it", c.address)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%q is not the address of a console; write host:port, as in 127.0.0.1:7301", c.address)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return fmt.Errorf("no answer from the console at %s (is the server running? --admin names another address): %w",
			c.address, err)
	}
	defer resp.Body.Close() //nolint:errcheck // the body has been read
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerBytesMax+1))
	if err != nil {
		return fmt.Errorf("the answer of the console at %s broke off: %w", c.address, err)
	}
	if len(text) > answerBytesMax {
		return fmt.Errorf("the answer of the console at %s is longer than %d bytes", c.address, answerBytesMax)
	}
	if resp.StatusCode != http.StatusOK {
		return c.failed(resp, text)
	}
	if raw, ok := v.(*[]byte); ok {
		*raw = text
		return nil
	}
	if err := decodeAnswer(text, v); err != nil {
		return fmt.Errorf("the answer from %s is not that of a console: %w", c.address, err)
	}
	return nil
}

// failed makes an Error of an answer other than 200.
func (c *Client) failed(resp *http.Response, text []byte) error {
	var f failure
	if err := decodeAnswer(text, &f); err != nil || f.Error.Code == "" {
		text := fmt.Sprintf("%s answered %s, and not as a console does", c.address, resp.Status)
		return &Error{Status: resp.StatusCode, Text: text}
	}
	e := f.Error
	return &Error{
		Status: resp.StatusCode, Code: e.Code, Text: e.Message, InTheWay: e.InTheWay, MoreInTheWay: e.MoreInTheWay,
	}
}
