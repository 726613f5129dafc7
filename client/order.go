package client

// Order is what is to be bought or sold.
type Order struct {
	Side       Side
	Market     string
	Code       string
	Quantity   int64 // shares
	LimitPrice Money // the most to pay for a share, or the least to take; 0: whatever the market says

	// ClientOrderID, 1 to 64 printable ASCII characters, lets a server execute the order once, however often it is
	// sent. It is for the account alone.
	ClientOrderID string
}
