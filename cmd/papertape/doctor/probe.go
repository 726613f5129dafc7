package doctor

import (
	"fmt"
	"math"
)

// Probe is what connections were measured to take, beside what Examine expects of them.
type Probe struct {
	Connections int   `json:"connections"`
	User        int64 `json:"user_bytes"`   // of each in the server
	Kernel      int64 `json:"kernel_bytes"` // and in the kernel, of the server's end
	Expected    int64 `json:"expected_bytes"`
	Reckoned    int64 `json:"bytes_most"`
}

// NewProbe compares a measurement with what was expected. kernelBoth is of both ends of a connection.
func NewProbe(r *Report, connections int, user, kernelBoth float64) Probe {
	return Probe{
		Connections: connections, User: int64(user), Kernel: int64(kernelBoth / 2),
		Expected: r.Each.User + r.Each.Kernel, Reckoned: r.Each.Most,
	}
}

// Measured is what each connection took.
func (p *Probe) Measured() int64 { return p.User + p.Kernel }

// String says both.
func (p *Probe) String() string {
	off := int(math.Round(100 * float64(p.Measured()-p.Expected) / float64(p.Expected)))
	return fmt.Sprintf("Tried with %s connections: %s each, of which %s in the server. Expected were %s (%+d %%), and "+
		"%s are reckoned with.", Count(int64(p.Connections)), Size(p.Measured()), Size(p.User), Size(p.Expected), off,
		Size(p.Reckoned))
}
