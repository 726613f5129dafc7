// Package doctor says how many connections a machine holds before the first one comes, and what bounds them. It reads
// what the kernel says about itself, and reckons with what a connection was measured to cost. Reading and arithmetic
// are apart: Examine is a pure function, and Read wants a tree of files that need not be the machine's own.
//
//	readings := doctor.Read(os.DirFS("/"), data)
//	doctor.Measure(ctx, &readings, &plan)      // the disk, the clock, the ports
//	report := doctor.Examine(&plan, &readings)
//	fmt.Println(report.Holds, report.Binds)
//
// Nothing is changed. Measure writes one file beside the ledger, and removes it.
package doctor
