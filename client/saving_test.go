package client_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
)

// saved checks the content of a cursor file.
func saved(t *testing.T, path string, seq uint64, note string) {
	t.Helper()
	s, n, err := client.SavedCursor(path, account)
	if err != nil || s == nil {
		t.Fatalf("the cursor is %v, %v", s, err)
	}
	want := book(seq)
	if s.Seq != seq || s.Epoch != epoch || s.Hash() != want.Hash() || s.TotalMarketValue != want.TotalMarketValue ||
		string(n) != note {
		t.Errorf("the cursor is as of seq %d of epoch %d, with note %q: expected seq %d of epoch %d, note %q", s.Seq,
			s.Epoch, n, seq, epoch, note)
	}
}

// idle calls Next when no update is to come.
func idle(t *testing.T, a *client.Account) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if u, err := a.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Next returned %v, %v", u, err)
	}
}

// The cursor covers what the caller is done with. The update that Next returned last counts
// once Next is called again. The cursor is saved when nothing more waits, and by Close.
func TestCursorFollowsNext(t *testing.T) {
	more := make(chan struct{})
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(3)
		for seq := uint64(4); seq <= 6; seq++ {
			p.push(seq, 0)
		}
		p.send(pong(p.ping(), 6))
		<-more
		p.push(7, 0)
		p.waitClosed()
	})
	path := filepath.Join(t.TempDir(), "cursor")
	a := open(t, addr, func(o *client.AccountOptions) { o.Cursor = path })
	saved(t, path, 3, "")
	if err := a.Ping(patience(t)); err != nil { // after it all three events have arrived
		t.Fatal(err)
	}
	take[*client.Connected](t, a)
	takeEvents(t, a, 4, 6)
	saved(t, path, 3, "") // the first two are done, but no save was due
	idle(t, a)
	saved(t, path, 6, "")
	before := stat(t, path)
	if idle(t, a); !os.SameFile(before, stat(t, path)) {
		t.Error("the cursor was saved again, though nothing had happened")
	}
	close(more)
	takeEvents(t, a, 7, 7)
	saved(t, path, 6, "")
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	saved(t, path, 7, "")
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// In a stream that never pauses, the cursor is saved at intervals.
func TestCursorInAStreamWithoutAPause(t *testing.T) {
	const n = 2*client.SaveEventsMax + 10
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(0)
		for seq := uint64(1); seq <= n; seq++ {
			p.push(seq, 0)
		}
		p.send(pong(p.ping(), n))
		p.waitClosed()
	})
	path := filepath.Join(t.TempDir(), "cursor")
	a := open(t, addr, func(o *client.AccountOptions) { o.Cursor = path })
	if err := a.Ping(patience(t)); err != nil {
		t.Fatal(err)
	}
	take[*client.Connected](t, a)
	for seq := uint64(1); seq < n; seq++ {
		takeEvents(t, a, seq, seq)
		s, _, err := client.SavedCursor(path, account)
		if err != nil || s.Seq >= seq || seq-s.Seq > client.SaveEventsMax {
			t.Fatalf("after seq %d the cursor is as of seq %d, %v", seq, s.Seq, err)
		}
	}
}

// With a note only Save moves the cursor, also after a restart. Without a note it moves by
// itself again.
func TestCursorMovesWithItsNote(t *testing.T) {
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(3)
		for seq := uint64(4); seq <= 6; seq++ {
			p.push(seq, 0)
		}
		p.waitClosed()
	}, func(p *peer) {
		p.logInResumed(5, 6)
		p.sendBookHoldings(6)
		p.waitClosed()
	}, func(p *peer) {
		p.logInResumed(5, 6)
		p.sendBookHoldings(6)
		p.waitClosed()
	})
	path := filepath.Join(t.TempDir(), "cursor")
	withCursor := func(o *client.AccountOptions) { o.Cursor = path }
	a := open(t, addr, withCursor)
	if a.Note() != nil {
		t.Errorf("the note is %q", a.Note())
	}
	take[*client.Connected](t, a)
	takeEvents(t, a, 4, 5)
	if err := a.Save([]byte("five")); err != nil {
		t.Fatal(err)
	}
	saved(t, path, 5, "five")
	takeEvents(t, a, 6, 6)
	idle(t, a)
	saved(t, path, 5, "five")
	closeTwice(t, a)
	saved(t, path, 5, "five")

	a = open(t, addr, withCursor)
	checkState(t, a, 5)
	if string(a.Note()) != "five" {
		t.Errorf("the note is %q", a.Note())
	}
	take[*client.Connected](t, a)
	takeEvents(t, a, 6, 6)
	idle(t, a)
	saved(t, path, 5, "five")
	closeTwice(t, a)

	a = open(t, addr, withCursor)
	if err := a.Save(nil); err != nil {
		t.Fatal(err)
	}
	saved(t, path, 5, "")
	take[*client.Connected](t, a)
	takeEvents(t, a, 6, 6)
	idle(t, a)
	saved(t, path, 6, "")
	if err := a.Save(make([]byte, client.NoteBytesMax+1)); err == nil {
		t.Error("a note that is too large was saved")
	}
}

// A resync is saved like an event. A cursor of an old epoch leads to one.
func TestCursorAndResync(t *testing.T) {
	other := func(p *peer) {
		id, _ := p.greet()
		r := bookSnapshot(2, epoch+1)
		r.Resynced = true
		p.send(loggedIn(id, r))
		p.waitClosed()
	}
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(5)
		p.waitClosed()
	}, other)
	path := filepath.Join(t.TempDir(), "cursor")
	withCursor := func(o *client.AccountOptions) { o.Cursor = path }
	closeTwice(t, open(t, addr, withCursor))
	saved(t, path, 5, "")
	a := open(t, addr, withCursor)
	checkState(t, a, 5) // the cursor's state until Next returns another
	if c := take[*client.Connected](t, a); !c.Resynced || c.Before.Seq != 5 || c.After.Seq != 2 {
		t.Errorf("Connected says %+v", c)
	}
	checkState(t, a, 2)
	saved(t, path, 5, "")
	idle(t, a)
	if s, _, err := client.SavedCursor(path, account); err != nil || s.Seq != 2 || s.Epoch != epoch+1 {
		t.Errorf("the cursor is %+v, %v", s, err)
	}
}

// A cursor that cannot be saved is reported, loses nothing, and is tried again. One that cannot
// be read is reported at once.
func TestCursorThatFails(t *testing.T) {
	lets := func(p *peer) {
		p.logInWithSnapshot(3)
		p.push(4, 0)
		p.push(5, 0)
		p.send(pong(p.ping(), 5))
		p.waitClosed()
	}
	addr := serve(t, func(p *peer) {
		p.logInWithSnapshot(3)
		p.waitClosed()
	}, lets)
	dir := filepath.Join(t.TempDir(), "directory")
	path := filepath.Join(dir, "cursor")
	withCursor := func(o *client.AccountOptions) { o.Cursor = path }
	if _, err := client.Open(patience(t), addr, accountOptions(withCursor)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with a directory that is not there Open reports %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a := open(t, addr, withCursor)
	if err := a.Ping(patience(t)); err != nil {
		t.Fatal(err)
	}
	take[*client.Connected](t, a)
	takeEvents(t, a, 4, 5)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if u, err := a.Next(patience(t)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Next returned %v, %v", u, err)
		}
	}
	if err := a.Save([]byte("note")); !errors.Is(err, os.ErrNotExist) || a.Note() != nil {
		t.Errorf("Save reports %v, and the note is %q", err, a.Note())
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	idle(t, a)
	saved(t, path, 5, "")
	closeTwice(t, a)

	if err := os.WriteFile(path, []byte("not a cursor"), 0o600); err != nil {
		t.Fatal(err)
	}
	var bad *client.CursorError
	if _, err := client.Open(patience(t), addr, accountOptions(withCursor)); !errors.As(err, &bad) || bad.Path != path {
		t.Errorf("with a file that is none Open reports %v", err)
	}
	if err := a.Save(nil); err != nil { // Save overwrites it
		t.Error(err)
	}
	none := open(t, serve(t, func(p *peer) { p.logInWithSnapshot(3); p.waitClosed() }), nil)
	if err := none.Save(nil); err == nil {
		t.Error("Save without a cursor has no error")
	}
}
