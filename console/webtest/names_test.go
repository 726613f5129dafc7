package webtest

// Figures of the overview by their names in the API.
const (
	eventsFigure = "events"
	fillsFigure  = "fills"
)
