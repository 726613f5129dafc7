// Package process runs servers in processes of their own, reads their logs, and ends them. Whatever proves or measures
// papertape starts it so:
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
// Run is the same for a command of one's own, such as another program that says where it listens in the same way.
//
// A server is ended by its process id, and by whoever started it. Its log is read until the process closes it, however
// long the lines are: a server whose log nobody reads would stall.
package process
