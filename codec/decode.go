package codec

import (
	"bytes"
	"slices"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/usertext"
)

// Bounds of requests beyond those of the frame.
const (
	maxClientNameBytes = 64
	maxCodes           = 500 // instruments per request and reply
	historyDefault     = 20
	historyMost        = 100
)

// DecodeOrder decodes an ORDER into o: every field except Account and Origin, which are not
// in the payload. Quantity and limit are not checked; that is for the book to do. On
// success nothing is allocated. An error is an *Error, fatal only if the payload does not
// parse; o is then unchanged.
func DecodeOrder(payload []byte, u *market.Universe, o *positions.Order) error {
	var (
		side                     papertapev1.Side
		marketName, code, wantID []byte
		quantity, limit          int64
	)
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			side = papertapev1.Side(f.varint())
		case 2:
			marketName = f.text()
		case 3:
			code = f.text()
		case 4:
			quantity = int64(f.varint())
		case 5:
			limit = int64(f.varint())
		case 6:
			wantID = f.text()
		}
	}
	if f.fault != noFault {
		return f.check(TypeOrder)
	}
	if side != papertapev1.Side_SIDE_BUY && side != papertapev1.Side_SIDE_SELL {
		return malformed("the side is %d; it must be 1 (buy) or 2 (sell)", side)
	}
	instrument, err := lookup(marketName, code, u)
	if err != nil {
		return err
	}
	var id positions.OrderID
	if len(wantID) > 0 {
		var ok bool
		if id, ok = positions.MakeOrderID(wantID); !ok {
			return malformed("the client_order_id %s has %d bytes; it must be none, or 1 to %d of printable ASCII",
				echo(wantID), len(wantID), positions.MaxOrderIDBytes)
		}
	}
	o.Side, o.Instrument, o.Quantity, o.Limit, o.ID = positions.Side(side), instrument, quantity, limit, id
	return nil
}

// Login is a LOGIN. Mode is never UNSPECIFIED, which means SNAPSHOT. LastSeq and Epoch
// matter only with RESUME.
type Login struct {
	Account     uint64 // 0: not given, which the engine refuses
	Mode        papertapev1.ResumeMode
	LastSeq     uint64
	Epoch       uint64
	Client      string // at most 64 bytes; safe to show to others
	KeyID       string
	ClientNonce []byte
	Proof       []byte
}

// DecodeLogin decodes a LOGIN. An error is an *Error. It is fatal if the payload does not
// parse. It is not fatal if the mode is unknown, or if the client's name is too long or has
// hidden characters.
func DecodeLogin(payload []byte) (Login, error) {
	var l Login
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			l.Account = f.varint()
		case 2:
			l.Mode = papertapev1.ResumeMode(f.varint())
		case 3:
			l.LastSeq = f.varint()
		case 4:
			l.Epoch = f.fixed64()
		case 5:
			l.Client = string(f.text())
		case 6:
			l.KeyID = string(f.text())
		case 7:
			l.ClientNonce = bytes.Clone(f.bytes())
		case 8:
			l.Proof = bytes.Clone(f.bytes())
		}
	}
	if f.fault != noFault {
		return Login{}, f.check(TypeLogin)
	}
	if l.Client != "" {
		if err := usertext.CheckLine(l.Client, maxClientNameBytes); err != nil {
			return Login{}, malformed("the client's name %s %v", echo(l.Client), err)
		}
	}
	switch l.Mode {
	case papertapev1.ResumeMode_RESUME_MODE_UNSPECIFIED:
		l.Mode = papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT
	case papertapev1.ResumeMode_RESUME_MODE_SNAPSHOT, papertapev1.ResumeMode_RESUME_MODE_RESUME,
		papertapev1.ResumeMode_RESUME_MODE_RESTART, papertapev1.ResumeMode_RESUME_MODE_QUICK:
	default:
		return Login{}, malformed("the mode is %d; it must be 1 (snapshot), 2 (resume), 3 (restart) or 4 (quick)",
			l.Mode)
	}
	return l, nil
}

// DecodePing decodes a PING or a PONG, which have the same fields. An error is a fatal
// *Error.
func DecodePing(payload []byte) (headSeq uint64, err error) {
	f := fields{rest: payload}
	for f.next() {
		if f.num == 1 {
			headSeq = f.varint()
		}
	}
	if f.fault != noFault {
		return 0, f.check(TypePing)
	}
	return headSeq, nil
}

// HistoryRequest is a HISTORY request.
type HistoryRequest struct {
	BeforeSeq uint64 // return events before this one, newest first; 0: from the head
	Limit     int    // 1 to 100; 20 if the request does not say
}

// DecodeHistoryRequest decodes a HISTORY request. An error is a fatal *Error.
func DecodeHistoryRequest(payload []byte) (HistoryRequest, error) {
	var (
		r     HistoryRequest
		limit uint32
	)
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			r.BeforeSeq = f.varint()
		case 2:
			limit = uint32(f.varint())
		}
	}
	if f.fault != noFault {
		return HistoryRequest{}, f.check(TypeHistory)
	}
	r.Limit = int(min(limit, historyMost))
	if limit == 0 {
		r.Limit = historyDefault
	}
	return r, nil
}

// DecodeHoldingsRequest decodes a HOLDINGS request, which has no fields. An error is a
// fatal *Error.
func DecodeHoldingsRequest(payload []byte) error {
	f := fields{rest: payload}
	for f.next() {
		continue // unknown fields are ignored, but must parse
	}
	return f.check(TypeHoldings)
}

// InstrumentsRequest is what an INSTRUMENTS request asks for.
type InstrumentsRequest struct {
	IDs  []market.ID
	More bool // without codes: there are more behind them
}

// DecodeInstrumentsRequest returns the instruments that an INSTRUMENTS request asks for, in
// the order of the request. Without codes these are the first 500 of the universe, or the
// first 500 behind the one in after. Codes are accepted in all spellings of
// market.Universe.Parse. An error is an *Error. It is fatal if the payload does not parse,
// and not fatal for an unknown code, for more than 500 codes, or if after is not market and
// code.
func DecodeInstrumentsRequest(payload []byte, u *market.Universe) (InstrumentsRequest, error) {
	var codes [][]byte
	var after []byte
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			codes = append(codes, f.text())
		case 2:
			after = f.text()
		}
	}
	if f.fault != noFault {
		return InstrumentsRequest{}, f.check(TypeInstruments)
	}
	if len(codes) > maxCodes {
		return InstrumentsRequest{}, malformed("%d instruments are asked for; ask for at most %d at once", len(codes),
			maxCodes)
	}
	if len(codes) == 0 {
		return pageOfInstruments(after, u)
	}
	ids, err := parseCodes(codes, u)
	return InstrumentsRequest{IDs: ids}, err
}

// Subscribe is a SUBSCRIBE. What is false is switched off.
type Subscribe struct {
	Quotes   bool
	Presence bool
	Detail   bool        // QUOTES have all fields
	Codes    []market.ID // ascending, each once: QUOTES of these alone; nil: of all
}

// DecodeSubscribe decodes a SUBSCRIBE. Codes are accepted in all spellings of
// market.Universe.Parse. An error is an *Error. It is fatal if the payload does not parse, and
// not fatal for an unknown code.
func DecodeSubscribe(payload []byte, u *market.Universe) (Subscribe, error) {
	var (
		s     Subscribe
		codes [][]byte
	)
	f := fields{rest: payload}
	for f.next() {
		switch f.num {
		case 1:
			s.Quotes = f.varint() != 0
		case 2:
			s.Presence = f.varint() != 0
		case 3:
			s.Detail = f.varint() != 0
		case 4:
			codes = append(codes, f.text())
		}
	}
	if f.fault != noFault {
		return Subscribe{}, f.check(TypeSubscribe)
	}
	ids, err := parseCodes(codes, u)
	if err != nil {
		return Subscribe{}, err
	}
	slices.Sort(ids)
	s.Codes = slices.Compact(ids)
	return s, nil
}

// parseCodes finds the instruments of codes, in their order. Without codes it returns nil.
func parseCodes(codes [][]byte, u *market.Universe) ([]market.ID, error) {
	if len(codes) == 0 {
		return nil, nil
	}
	ids := make([]market.ID, len(codes))
	for n, code := range codes {
		id, err := u.Parse(string(code))
		if err != nil {
			return nil, unknownInstrument("%s", validText(err.Error()))
		}
		ids[n] = id
	}
	return ids, nil
}

// pageOfInstruments returns the first instruments behind after, which need not be one of the
// universe: it may have gone since the page before.
func pageOfInstruments(after []byte, u *market.Universe) (InstrumentsRequest, error) {
	first := 0
	if len(after) > 0 {
		name, code, ok := bytes.Cut(after, []byte{'.'})
		canonical, _, known := market.Canonical(string(name))
		if !ok || !known || len(code) == 0 {
			return InstrumentsRequest{}, malformed(`after is %s; it must be market and code, as in "SH.600519"`,
				echo(after))
		}
		first = u.After(canonical, string(code))
	}
	ids := u.ListedFrom(first, maxCodes+1)
	return InstrumentsRequest{IDs: ids[:min(len(ids), maxCodes)], More: len(ids) > maxCodes}, nil
}
