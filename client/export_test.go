package client

import papertapev1 "github.com/papertape/papertape/api/papertape/v1"

// HoldingsMessage returns a state as a server would send it, with its hash.
func HoldingsMessage(s *State) *papertapev1.Holdings { return s.holdings().message() }

// SavedCursor returns the content of a cursor file.
func SavedCursor(path string, account uint64) (*State, []byte, error) {
	c, err := loadCursor(path, account)
	if err != nil || c == nil {
		return nil, nil, err
	}
	return c.state, c.note, nil
}

// SaveEventsMax is the number of updates after which Next saves the cursor although it need not
// wait.
const SaveEventsMax = saveEventsMax

// OrderMessage returns an order as it is sent.
func OrderMessage(o Order) *papertapev1.Order { return o.message() }
