package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
)

// runServer starts a server with a few accounts. It stops when the test ends.
func runServer(t *testing.T) addresses {
	t.Helper()
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Accounts, cfg.Simulator.Rate = "127.0.0.1:0", "127.0.0.1:0", 3, 0
	cfg.Data = filepath.Join(t.TempDir(), "data")
	s, err := newServer(cfg, nil, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan addresses, 1), make(chan error, 1)
	go func() { ended <- s.run(ctx, func(a addresses) { ready <- a }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	select {
	case at := <-ready:
		return at
	case err := <-ended:
		ended <- nil
		t.Fatalf("the server did not start: %v", err)
		return addresses{}
	}
}

// runAdmin runs a command in this process and returns its output.
func runAdmin(ctx context.Context, at addresses, args ...string) (string, error) {
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(append(args, "--admin", at.admin))
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(ctx)
	return out.String(), err
}

// TestSessionsAndKick checks that an operator can list a client, end its session, and then no
// longer sees it. Another client stays connected.
func TestSessionsAndKick(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	at := runServer(t)
	var clients []*client.Client
	for _, account := range []uint64{100002, 100003} {
		c, err := client.Dial(ctx, at.listen, client.Options{Account: account})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		clients = append(clients, c)
	}
	admin := console.NewClient(at.admin, "")
	of := func() map[uint64]console.Session {
		t.Helper()
		list, err := admin.Sessions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		byAccount := make(map[uint64]console.Session)
		for _, s := range list.Sessions {
			byAccount[s.Account] = s
		}
		return byAccount
	}
	victim, other := of()[100002], of()[100003]
	if victim.UID == 0 || other.UID == 0 || victim.UID == other.UID || victim.Since.IsZero() || victim.CatchingUp {
		t.Fatalf("sessions %+v and %+v", victim, other)
	}
	out, err := runAdmin(ctx, at, "sessions")
	if err != nil || !strings.Contains(out, "2 sessions") || !strings.Contains(out, "live") ||
		!strings.Contains(out, victim.Remote) {
		t.Errorf("sessions: %v\n%s", err, out)
	}
	out, err = runAdmin(ctx, at, "accounts", "--after", "100001", "--limit", "1", "-o", "json")
	if err != nil || !strings.Contains(out, `"account": 100002`) || !strings.Contains(out, `"sessions": 1`) {
		t.Errorf("accounts: %v\n%s", err, out)
	}

	out, err = runAdmin(ctx, at, "kick", fmt.Sprint(victim.UID), "--reason", "收盘: the desk is closed & gone")
	want := fmt.Sprintf("session %d, of account 100002, from %s, was ended\n", victim.UID, victim.Remote)
	if err != nil || out != want {
		t.Errorf("kick: %v, %q, want %q", err, out, want)
	}
	_, err = clients[0].Next(ctx)
	var bye *client.Goodbye
	if !errors.As(err, &bye) || bye.Reason != client.GoodbyeKicked || bye.Text != "收盘: the desk is closed & gone" {
		t.Errorf("the client that was kicked ended with: %v", err)
	}
	_ = clients[0].Close()
	for _, there := of()[100002]; there; _, there = of()[100002] {
		time.Sleep(time.Millisecond) // ctx bounds the wait
	}
	_, err = runAdmin(ctx, at, "kick", fmt.Sprint(victim.UID))
	var answered *console.Error
	if !errors.As(err, &answered) || answered.Status != 404 || answered.Code != "unknown_session" {
		t.Errorf("kicked again: %v", err)
	}
	if left := of(); len(left) != 1 || left[100003].UID != other.UID {
		t.Errorf("left are %+v", left)
	}
	if err := clients[1].Ping(ctx); err != nil {
		t.Errorf("the other client: %v", err)
	}
}

// TestKickDefaults checks that a client gets a reason even if the operator gives none.
func TestKickDefaults(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	at := runServer(t)
	c, err := client.Dial(ctx, at.listen, client.Options{Account: 100001})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the server has ended it
	if out, err := runAdmin(ctx, at, "kick", "1", "-o", "json"); err != nil || !strings.Contains(out, `"uid": 1,`) {
		t.Errorf("kick: %v\n%s", err, out)
	}
	_, err = c.Next(ctx)
	var bye *client.Goodbye
	if !errors.As(err, &bye) || bye.Text != "an operator ended the session" {
		t.Errorf("the client ended with: %v", err)
	}
}

func TestSessionState(t *testing.T) {
	for want, s := range map[string]console.Session{
		"not logged in": {UID: 1, CatchingUp: true}, "catching up": {UID: 1, Account: 2, CatchingUp: true},
		"live": {UID: 1, Account: 2},
	} {
		if got := sessionState(&s); got != want {
			t.Errorf("%+v is %q, want %q", s, got, want)
		}
	}
}
