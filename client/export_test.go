package client

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
