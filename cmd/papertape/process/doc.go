// Package process asks the kernel for resources that a large server needs:
//
//	files, err := process.RaiseFileLimit()          // the limit of open files, and so of connections
//	bytes, err := process.ReserveHugePages(4 << 30) // before the heap grows; 0 if there are none
//	process.AdviseHugePages(memory)                 // for memory outside the heap
//
// Why huge pages: a server that keeps its history in memory touches new memory as long as it grows.
// The first access to each 4 KiB page is a page fault, and faults of twelve microseconds have been
// observed in a virtual machine. A huge page replaces 512 such faults by one. If
// /sys/kernel/mm/transparent_hugepage/enabled says madvise, Linux gives huge pages to processes
// that ask for them, which Go does not do by itself. ADR 0012 has the measurements.
package process
