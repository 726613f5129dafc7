// Package hugepage has the kernel back the Go heap with huge pages.
//
// A server that keeps its history in memory touches new memory for as long as it grows, and each 4 KiB of it the first time is a page
// fault, which has been seen to take twelve microseconds in a virtual machine. A huge page is 512 of them for one fault. Where
// /sys/kernel/mm/transparent_hugepage/enabled says madvise, Linux gives huge pages to those who ask; Go does not ask. ADR 0012 has what was
// measured.
package hugepage
