// Package shelltest runs commands of postrider in tests, as a shell would: a line of
// words, a standard input, the output and the exit code. Only tests import it.
//
//	s := shelltest.New(t, AccountCommand, DomainCommand)
//	s.Want(sysexits.NoUser, "", "account remove alice", "no account alice")
//
// New gives the commands a configuration with an empty store; each command opens it
// itself. Both runs a test twice: that way, and with a server at the store's
// admin socket. WithQueue has a server with a queue in memory, which implements the
// contract in package storage plainly, and a relay that records what it was asked to do.
package shelltest
