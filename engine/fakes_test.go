package engine

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// fakeJournal records everything that is committed, for tests to compare with. As a Journal it
// keeps events only if keeps is set.
type fakeJournal struct {
	epoch uint64
	keeps bool

	mu         sync.Mutex
	committed  map[uint64][]positions.Event // by account; event n is at index n-1
	stored     map[uint64]AccountState      // by account, as of the last checkpoint, with all ids and no events
	mark       int                          // blocks up to this one are not replayed
	pending    [][]positions.Event          // of Commits that wait for commitGate, in order of arrival
	failure    error                        // of the next Commit
	readErr    error                        // of the next Read
	misread    func([]positions.Event) []positions.Event
	commitGate chan struct{} // if set, Commit waits until it is closed
	readGate   chan struct{}
	committing int // Commits under way
	reading    int
	reads      int  // reads begun
	walked     bool // reads may go beyond what is stored, as those of a walk do
	commits    int  // commits that have returned
	blocks     [][]positions.Event
	wrong      []string
}

// What the records of the tests are made with.
var (
	testTable = record.NewTable(testUniverse)
	testIDKey = record.IDKey{1, 2, 3}
)

// decoded returns the events of records.
func decoded(records []byte) (events []positions.Event) {
	for len(records) > 0 {
		rec, rest, err := record.Cut(records)
		var ev positions.Event
		if err == nil {
			err = testTable.Decode(rec, &ev)
		}
		if err != nil {
			panic(err)
		}
		events, records = append(events, ev), rest
	}
	return events
}

func newFakeJournal(keeps bool) *fakeJournal {
	return &fakeJournal{epoch: 77, keeps: keeps, committed: make(map[uint64][]positions.Event),
		stored: make(map[uint64]AccountState)}
}

func (j *fakeJournal) Epoch() uint64 { return j.epoch }
func (j *fakeJournal) Keeps() bool   { return j.keeps }

func (j *fakeJournal) Committed() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return uint64(j.commits)
}

func (j *fakeJournal) Commit(records []byte, count int) error {
	events := decoded(records)
	if len(events) != count {
		j.set(func() { j.wrong = append(j.wrong, fmt.Sprintf("%d records, said to be %d", len(events), count)) })
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.committing++
	defer func() { j.committing-- }()
	if gate := j.commitGate; gate != nil {
		j.pending = append(j.pending, events)
		j.mu.Unlock()
		<-gate
		j.mu.Lock()
	}
	if j.failure != nil {
		return j.failure
	}
	if len(events) == 0 {
		j.wrong = append(j.wrong, "a commit without events")
	}
	j.add(events)
	return nil
}

// add appends a block of events.
func (j *fakeJournal) add(events []positions.Event) {
	for _, ev := range events {
		if next := uint64(len(j.committed[ev.Account])) + 1; ev.Seq != next {
			j.wrong = append(j.wrong, fmt.Sprintf("account %d: event %d committed where %d was next", ev.Account,
				ev.Seq, next))
		}
		j.committed[ev.Account] = append(j.committed[ev.Account], ev)
	}
	j.commits++
	j.blocks = append(j.blocks, events)
}

func (j *fakeJournal) Read(dst []positions.Event, account, from uint64, limit int) ([]positions.Event, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reading++
	j.reads++
	defer func() { j.reading-- }()
	if gate := j.readGate; gate != nil {
		j.mu.Unlock()
		<-gate
		j.mu.Lock()
	}
	if !j.keeps {
		j.wrong = append(j.wrong, "a read of a journal that keeps nothing")
	}
	if j.readErr != nil {
		return dst, j.readErr
	}
	stored := j.stored[account].Seq
	if from == 0 || from > stored && !j.walked {
		j.wrong = append(j.wrong, fmt.Sprintf("account %d: a read from event %d; checkpoints have stored 1 to %d",
			account, from, stored))
	}
	for seq := from; seq <= stored && limit > 0; seq++ {
		dst = append(dst, j.committed[account][seq-1])
		limit--
	}
	if j.misread != nil {
		dst = j.misread(dst)
	}
	return dst, nil
}

// store takes part of a checkpoint, and compares it with what was committed.
func (j *fakeJournal) store(states []AccountState) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range states {
		st := &states[i]
		if err := j.storeOne(st); err != nil {
			j.wrong = append(j.wrong, fmt.Sprintf("account %d is checkpointed as of event %d: %v",
				st.Account, st.Seq, err))
		}
	}
	return nil
}

func (j *fakeJournal) storeOne(st *AccountState) error {
	before, committed := j.stored[st.Account], j.committed[st.Account]
	// A checkpoint that was abandoned may have stored as much.
	if st.Seq < before.Seq || st.Seq > uint64(len(committed)) {
		return fmt.Errorf("it was stored as of %d, %d events were committed", before.Seq, len(committed))
	}
	events := decoded(slices.Concat(st.Runs...))
	first := st.Seq - st.Count + 1
	if st.Count == 0 || first > before.Seq+1 || !reflect.DeepEqual(events, committed[first-1:st.Seq]) {
		return fmt.Errorf("its runs begin with %d and are not what was committed", first)
	}
	book := positions.NewBook(testUniverse)
	for _, ev := range committed[:st.Seq] {
		book.Apply(&ev)
	}
	if v, _ := book.View(st.Account); v.Cash() != st.Cash || !slices.Equal(v.AppendRows(nil), st.Rows) {
		return fmt.Errorf("%+v and %+v are not what the events give", st.Cash, st.Rows)
	}
	next := AccountState{Account: st.Account, Seq: st.Seq, Cash: st.Cash, Rows: slices.Clone(st.Rows)}
	next.IDs = changeIDs(before.IDs, st.IDs, st.Forgotten)
	j.stored[st.Account] = next
	return nil
}

// changeIDs applies a checkpoint's changes to stored ids, which are keyed by sequence.
func changeIDs(ids, remembered, forgotten []OrderIDRecord) []OrderIDRecord {
	bySeq := make(map[uint64]OrderIDRecord)
	for _, r := range slices.Concat(ids, remembered) {
		bySeq[r.Seq] = r
	}
	for _, r := range forgotten {
		delete(bySeq, r.Seq)
	}
	return slices.SortedFunc(maps.Values(bySeq), func(a, b OrderIDRecord) int { return cmp.Compare(a.Seq, b.Seq) })
}

// restart returns the journal as a crash leaves it: the first survivors of the pending commits have
// reached the disk.
func (j *fakeJournal) restart(survivors int) *fakeJournal {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := newFakeJournal(j.keeps)
	next.stored, next.mark = j.stored, j.mark
	for _, block := range append(j.blocks, j.pending[:survivors]...) {
		next.add(block)
	}
	return next
}

// recover loads an engine from the journal: the states that checkpoints stored, and only the blocks
// after the mark.
func (j *fakeJournal) recover(eng *Engine) error {
	eng.Use(testTable, testIDKey)
	for _, number := range slices.Sorted(maps.Keys(j.stored)) {
		st := j.stored[number]
		if err := eng.Load(&st); err != nil {
			return err
		}
	}
	for _, block := range j.blocks[j.mark:] {
		for i := range block {
			if err := eng.Replay(&block[i], testTable.Append(nil, &block[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdCommits makes each Commit wait until release is called; holdReads does the same with Read.
func (j *fakeJournal) holdCommits() (release func()) { return j.hold(&j.commitGate) }
func (j *fakeJournal) holdReads() (release func())   { return j.hold(&j.readGate) }

func (j *fakeJournal) hold(gate *chan struct{}) (release func()) {
	held := make(chan struct{})
	j.set(func() { *gate = held })
	return sync.OnceFunc(func() {
		j.set(func() { *gate = nil })
		close(held)
	})
}

func (j *fakeJournal) set(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
}

// head returns the newest committed sequence of an account.
func (j *fakeJournal) head(account uint64) uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return uint64(len(j.committed[account]))
}

func (j *fakeJournal) events(account uint64) []positions.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.committed[account])
}

// frame is one message that a session was sent: its kind and its content.
type frame struct {
	kind     string // LOGIN, NOLOGIN, EVENT, EXECUTION, REPEAT, HOLDINGS, HISTORY, REFUSED, FAILED, LOST
	id       uint64 // of the request that it answers; 0: a push
	replay   bool
	ev       positions.Event
	reply    LoginReply
	holdings positions.Holdings
	history  []positions.Event
	oldest   uint64
	refusal  positions.Refusal
	failure  Failure
}

// String returns a short form: "EXECUTION 7 replay #3" is event 7, sent with the flag REPLAY as the
// answer to request 3.
func (f frame) String() string {
	text := f.kind
	switch f.kind {
	case "LOGIN":
		text += fmt.Sprintf(" %s head=%d oldest=%d", modeNames[f.reply.Mode], f.reply.HeadSeq, f.reply.OldestSeq)
		if f.reply.After != f.reply.HeadSeq {
			text += fmt.Sprintf(" after=%d", f.reply.After)
		}
		if f.reply.Resynced {
			text += " resynced"
		}
		if f.reply.Holdings != nil {
			text += fmt.Sprintf(" holdings=%d", f.reply.Holdings.Seq)
		}
	case "EVENT", "EXECUTION", "REPEAT":
		text += fmt.Sprintf(" %d", f.ev.Seq)
		if f.replay {
			text += " replay"
		}
	case "HOLDINGS":
		text += fmt.Sprintf(" %d", f.holdings.Seq)
	case "HISTORY":
		for _, ev := range f.history {
			text += fmt.Sprintf(" %d", ev.Seq)
		}
		text += fmt.Sprintf(" oldest=%d", f.oldest)
	case "REFUSED":
		text += " " + f.refusal.Reason.String()
	case "FAILED", "NOLOGIN":
		text += " " + failureNames[f.failure]
	}
	if f.id != 0 {
		text += fmt.Sprintf(" #%d", f.id)
	}
	return text
}

var modeNames = map[ResumeMode]string{
	ModeSnapshot: "SNAPSHOT", ModeResume: "RESUME", ModeRestart: "RESTART", ModeQuick: "QUICK",
}

var failureNames = map[Failure]string{
	FailureUnknownAccount: "UNKNOWN_ACCOUNT", FailureTooManySessions: "TOO_MANY_SESSIONS",
	FailureDuplicateOrderID: "DUPLICATE_ORDER_ID", FailureOrderIDClash: "ORDER_ID_CLASH", FailureInternal: "INTERNAL",
	FailureHistoryBusy: "HISTORY_BUSY", FailureUncheckpointed: "UNCHECKPOINTED", FailureRateLimited: "RATE_LIMITED",
	FailureReadOnly: "READ_ONLY",
}

// conn is a fake connection: a session, and everything that it was sent.
type conn struct {
	Session
	w       *world
	account uint64
	nextID  uint64
	seen    int // frames that expect has compared already

	// Guarded by the outlet's mutex.
	frames  []frame
	timings []timing // of each frame
	unread  int      // frames since the client last read
	piece   int      // Replay lets unread grow no larger than this
	catchUp bool     // Replay returned false, and CatchUp was not called since
}

// fakeOutlet records the calls of all shards' publishers.
type fakeOutlet struct {
	journal *fakeJournal

	publishers []*fakePublisher // complete before the first request

	mu    sync.Mutex
	calls int // of all methods except Flush
	wrong []string
	trap  string // the frame kind, or "Flush", at which the publisher panics
}

func (o *fakeOutlet) Publisher() Publisher {
	p := &fakePublisher{outlet: o}
	o.publishers = append(o.publishers, p)
	return p
}

// fakePublisher copies its arguments.
type fakePublisher struct {
	outlet *fakeOutlet
	used   int  // deliberately without a lock: two concurrent drainers of one shard are a data race here
	dirty  bool // something was sent after the last Flush
	now    timing
}

// timing is what Timed had said when a frame was sent.
type timing struct {
	kind           string // of the frame
	decided, asked int64
}

func (p *fakePublisher) send(s *Session, f frame) {
	p.used++
	p.dirty = true
	o := p.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	p.record(s, f)
}

// record appends the frame. The outlet's mutex must be held.
func (p *fakePublisher) record(s *Session, f frame) {
	o := p.outlet
	o.calls++
	if o.trap == f.kind {
		panic("the publisher is made to panic at " + f.kind)
	}
	c := s.Peer.(*conn)
	if f.ev.Seq > 0 && f.ev.Seq > o.journal.head(f.ev.Account) {
		o.wrong = append(o.wrong, fmt.Sprintf("%s sent before it was committed", f))
	}
	if f.kind == "EVENT" && f.ev.Account != c.account {
		o.wrong = append(o.wrong, fmt.Sprintf("%s of account %d sent to a session of %d", f, f.ev.Account, c.account))
	}
	c.frames = append(c.frames, f)
	c.timings = append(c.timings, timing{f.kind, p.now.decided, p.now.asked})
	c.unread++
}

func (p *fakePublisher) Event(ev *positions.Event, live []*Session, owner *Session, id uint64) {
	if len(live) == 0 {
		p.outlet.complain("Event for nobody")
	}
	for _, s := range live {
		if s == owner {
			p.send(s, frame{kind: "EXECUTION", ev: *ev, id: id})
		} else {
			p.send(s, frame{kind: "EVENT", ev: *ev})
		}
	}
}

func (p *fakePublisher) Replay(ev *positions.Event, s *Session, id uint64, replay bool) bool {
	p.used++
	o := p.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	c := s.Peer.(*conn)
	if c.catchUp {
		o.wrong = append(o.wrong, fmt.Sprintf("Replay of %d to a session whose piece is full", ev.Seq))
	}
	if c.unread > 0 && c.unread+1 > c.piece {
		c.catchUp = true
		return false
	}
	p.dirty = true
	f := frame{kind: "EVENT", ev: *ev, id: id, replay: replay}
	if id != 0 {
		f.kind = "EXECUTION"
	}
	p.record(s, f)
	return true
}

// answerNames are the frame kinds of answers.
var answerNames = map[AnswerKind]string{
	AnswerRepeat: "REPEAT", AnswerRefused: "REFUSED", AnswerFailed: "FAILED", AnswerDeclined: "DECLINED",
	AnswerHoldings: "HOLDINGS", AnswerHistory: "HISTORY", AnswerLoggedIn: "LOGIN", AnswerLoginRefused: "NOLOGIN",
}

func (p *fakePublisher) Answer(a Answer) {
	f := frame{kind: answerNames[a.Kind], id: a.ID, oldest: a.Oldest, refusal: a.Refusal, failure: a.Failure}
	switch a.Kind {
	case AnswerRepeat:
		f.ev = *a.Event
	case AnswerHoldings:
		f.holdings = copyHoldings(a.Holdings)
	case AnswerHistory:
		for _, ev := range a.History {
			f.history = append(f.history, *ev)
		}
	case AnswerLoggedIn:
		f.reply = *a.Login
		if a.Login.Holdings != nil {
			h := copyHoldings(a.Login.Holdings)
			f.reply.Holdings = &h
		}
	}
	if f.kind == "" || (a.Kind == AnswerFailed || a.Kind == AnswerLoginRefused) != (a.Failure != 0) {
		p.outlet.complain(fmt.Sprintf("an answer of kind %d with failure %d", a.Kind, a.Failure))
	}
	if a.Kind == AnswerLoginRefused && a.Account != a.Session.Peer.(*conn).account {
		p.outlet.complain("a login refused with another account")
	}
	if a.Failure == FailureDuplicateOrderID && (a.Order == nil || a.Order.ID.IsZero()) {
		p.outlet.complain("DUPLICATE_ORDER_ID without the order")
	}
	p.send(a.Session, f)
}

func (p *fakePublisher) Timed(decided, asked int64) {
	p.used++
	p.now = timing{decided: decided, asked: asked}
}

func (p *fakePublisher) Lost(s *Session) { p.send(s, frame{kind: "LOST"}) }

func (p *fakePublisher) Flush() {
	p.used++
	p.dirty = false
	o := p.outlet
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.trap == "Flush" {
		panic("the publisher is made to panic at Flush")
	}
}

func (o *fakeOutlet) complain(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.wrong = append(o.wrong, text)
}

func (o *fakeOutlet) published() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls
}

func copyHoldings(h *positions.Holdings) positions.Holdings {
	c := *h
	c.Positions = slices.Clone(h.Positions)
	return c
}

func (c *conn) all() []frame {
	c.w.outlet.mu.Lock()
	defer c.w.outlet.mu.Unlock()
	return slices.Clone(c.frames)
}

// fresh returns the frames since the last call of fresh or expect, as text.
func (c *conn) fresh() []string {
	frames := c.all()
	var texts []string
	for _, f := range frames[c.seen:] {
		texts = append(texts, f.String())
	}
	c.seen = len(frames)
	return texts
}

// expect compares the frames since the last call of fresh or expect.
func (c *conn) expect(want ...string) {
	c.w.t.Helper()
	if got := c.fresh(); !slices.Equal(got, want) {
		c.w.t.Fatalf("the session of %d was sent\n  %s\nwant\n  %s", c.account, strings.Join(got, "\n  "),
			strings.Join(want, "\n  "))
	}
}

// last returns the newest frame.
func (c *conn) last() frame {
	c.w.t.Helper()
	frames := c.all()
	if len(frames) == 0 {
		c.w.t.Fatalf("the session of %d was sent nothing", c.account)
	}
	return frames[len(frames)-1]
}

// read is the client reading everything that it was sent. If a piece was full, the outlet then
// calls CatchUp.
func (c *conn) read() {
	c.w.outlet.mu.Lock()
	c.unread = 0
	more := c.catchUp
	c.catchUp = false
	c.w.outlet.mu.Unlock()
	if more {
		c.w.eng.CatchUp(&c.Session, c.account)
	}
}
