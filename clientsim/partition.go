package clientsim

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/decimal"
)

// Partition is one of several swarms that run at the same time on disjoint accounts.
type Partition struct{ Index, Of int } // Index is 1 to Of

// partitionsMax bounds the number of swarms.
const partitionsMax = 10_000

// ParsePartition parses text such as "2/4", the second of four.
func ParsePartition(text string) (Partition, error) {
	index, of, _ := strings.Cut(text, "/")
	var p Partition
	var err1, err2 error
	p.Index, err1 = decimal.ParseWhole(strings.TrimSpace(index), 1, partitionsMax)
	p.Of, err2 = decimal.ParseWhole(strings.TrimSpace(of), 1, partitionsMax)
	if err1 != nil || err2 != nil || p.Index > p.Of {
		return Partition{}, fmt.Errorf("partition %q: write 2/4 for the second of four, from 1/1 to %d/%[2]d", text,
			partitionsMax)
	}
	return p, nil
}

func (p Partition) String() string { return fmt.Sprintf("%d/%d", p.Index, p.Of) }

// FirstAccount returns the partition's first account, if the accounts of all partitions begin
// at first and each partition has that many clients.
func (p Partition) FirstAccount(first uint64, clients int) uint64 {
	return first + uint64(p.Index-1)*uint64(clients) //nolint:gosec // neither is negative
}
