package doctor

// What a connection costs, as docs/bench.md has it ("Idle connections"): a test holds these numbers to that page. The
// kernel's are of both ends of a connection over loopback, of which the server has one.
const (
	userBytes       = 840   // of the server: the median
	userBytesMost   = 855   // and the highest
	kernelBytesBoth = 8084  // the lowest median of the servers that were measured: what else the kernel did adds to it
	kernelBytesMost = 9273  // the highest of ours
	tlsBytes        = 11264 // over TLS, more than without: docs/operations.md
	tlsHeapBytes    = 8192  // of that on the heap

	// FilesReserved are for the process itself: journal, console, listeners, and connections being refused.
	FilesReserved = 1500
	// ConnectionsAuto is what connections_max is where it is auto and the machine gives more.
	ConnectionsAuto = 100_000

	journalBytes = 192 << 20 // its caches, and what it has yet to write
	baseBytes    = 256 << 20 // everything else
)

// Costs are the bytes of a connection.
type Costs struct {
	User   int64 `json:"user_bytes"`   // expected in the server
	Kernel int64 `json:"kernel_bytes"` // and in the kernel
	Most   int64 `json:"bytes_most"`   // of both, with the headroom of Go's collector: what is reckoned with
}

// costsOf returns what each connection costs.
func costsOf(tls bool) Costs {
	c := Costs{User: userBytes, Kernel: kernelBytesBoth / 2, Most: 2*userBytesMost + (kernelBytesMost+1)/2}
	if tls {
		c.User += tlsBytes
		c.Most += tlsBytes + tlsHeapBytes
	}
	return c
}
