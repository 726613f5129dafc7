package client

import papertapev1 "github.com/papertape/papertape/api/papertape/v1"

// HoldingsMessage is a state as a server would send it, with its hash.
func HoldingsMessage(s *State) *papertapev1.Holdings { return s.holdings().message() }

// SavedCursor is what a cursor file holds.
func SavedCursor(path string, account uint64) (*State, []byte, error) {
	c, err := loadCursor(path, account)
	if err != nil || c == nil {
		return nil, nil, err
	}
	return c.state, c.note, nil
}

// SaveEventsMax is how many events are handed out before the cursor is saved though Next does not wait.
const SaveEventsMax = saveEventsMax

// OrderMessage is an order as it is sent.
func OrderMessage(o Order) *papertapev1.Order { return o.message() }
