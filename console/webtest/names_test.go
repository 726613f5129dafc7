package webtest

// Figures of the overview by their names in the API.
const (
	eventsFigure = "events_per_second"
	fillsFigure  = "simulator_fills_per_second"
)
