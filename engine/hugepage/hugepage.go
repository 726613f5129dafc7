// Package hugepage has the kernel back the Go heap with huge pages.
//
// A server that keeps its history in memory touches new memory for as long as it grows, and each 4 KiB of it the first time is a page
// fault: half a microsecond on hardware, but ten and more in a virtual machine whose hypervisor has no hardware's help with page
// tables. A huge page is 512 of them for one fault. Linux gives huge pages to those who ask for them, where
// /sys/kernel/mm/transparent_hugepage/enabled says madvise, which is the default of most; Go does not ask.
package hugepage
