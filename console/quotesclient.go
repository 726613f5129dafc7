package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// SetQuotes tells the server quotes and trades, at most QuoteUpdatesMax of them, and returns what became of
// them.
func (c *Client) SetQuotes(ctx context.Context, updates []QuoteUpdate) (QuotesApplied, error) {
	var done QuotesApplied
	body, err := json.Marshal(QuoteUpdates{Updates: updates})
	if err != nil {
		return done, fmt.Errorf("the quotes cannot be sent: %w", err)
	}
	err = c.do(ctx, http.MethodPost, quotesPath, body, &done)
	return done, err
}

// QuoteUpdatesMax is how many updates one request may have.
const QuoteUpdatesMax = updatesMax
