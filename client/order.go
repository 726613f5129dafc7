package client

// Order describes what to buy or sell.
type Order struct {
	Side       Side
	Market     string
	Code       string
	Quantity   int64 // shares
	LimitPrice Money // the most to pay for a share, or the least to accept; 0 means a market order

	// ClientOrderID, 1 to 64 printable ASCII characters, lets a server execute the order only
	// once, however often it is sent. It needs to be unique only within the account.
	ClientOrderID string
}
