// Package process asks the kernel for what the process of a large server needs. Both are asked for once, at the start:
//
//	files, err := process.RaiseFileLimit()          // how many files, and so connections, there may be
//	bytes, err := process.ReserveHugePages(4 << 30) // before the heap grows: 0 where there are none
//
// Why huge pages: a server that keeps its history in memory touches new memory for as long as it grows, and each 4
// KiB of it the first time is a page fault, which has been seen to take twelve microseconds in a virtual machine. A
// huge page is 512 of them for one fault. Where /sys/kernel/mm/transparent_hugepage/enabled says madvise, Linux gives
// huge pages to those who ask; Go does not ask. ADR 0012 has what was measured.
package process
