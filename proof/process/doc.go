// Package process runs servers in processes of their own, reads their logs, and ends them. All code
// that tests or measures papertape starts servers with it:
//
//	s, err := process.Start(binary, "--data", dir, "--accounts", "10")
//	if err != nil {
//		return err
//	}
//	defer s.Kill()
//	if _, err := s.Await(ctx); err != nil {
//		return err // it did not come to listen; the error has the end of its log
//	}
//	… s.Listen(), s.Admin() …
//	err = s.Stop()
//
// Run does the same for any command, such as another program that announces its address in the same
// way.
//
// A server is ended by its process id, and only by the code that started it. Its log is read until
// the process closes it, however long the lines are: a server whose log nobody reads would stall.
package process
