// Package tlsio speaks TLS on event loops: crypto/tls, as it is, over memory in the
// place of a socket. It knows nothing of loops but the shape of their layers
// (loop.Layer), and nothing of mail.
//
//	hs := handshaker.Start(cfg, firstOctets, scratch, report)
//	// each time report has been called, on the loop:
//	c.Write(hs.Output())
//	if hs.Done() {
//		session, err := hs.Session()
//		c.SetLayer(session)
//	} else { // with the next octets of the client
//		hs.Feed(more)
//	}
//
// # The handshake
//
// It computes for half a millisecond or two and waits for its client, in between and
// in code that can't be left and entered again. So it runs on a goroutine, which
// ends with it. A [Handshaker] lets a bounded number be open and a smaller one
// compute; one that waits for its client holds no token. The loop never waits: it
// hands octets over, goes on, and gets the outcome by a task.
//
// # After it
//
// The [Session] belongs to the loop of its connection. Records are opened and sealed
// in place, at 2 GB/s and below the cost of a system call for a command. crypto/tls
// thinks that it reads from a socket with a deadline that has passed, which it
// tolerates after the handshake: what is half a record stays in it until the rest
// comes. No goroutine, no lock, and 3.5 KB for a silent session, since its buffers
// are given back (idlerelease.go).
//
// Two sessions never share memory: what is lent to a session for a call, the octets
// that were read and the loop's [Scratch], is taken back before the call returns.
//
// # Certificates
//
// A [CertStore] is a snapshot that is replaced as a whole, so no session notices a renewal.
// Package certs loads it.
//
// # Diagnostics
//
// A session returns the errors of crypto/tls. All are final, but for the empty read,
// which never gets out. io.EOF is the peer's close_notify.
//
// # Tried and dropped
//
//   - A goroutine for each TLS session: 18 KB for a silent one, 58 KB after a
//     message; in a storm of handshakes a command took 100 ms.
//   - Handshakes on the loop: the same storm, 97 ms.
//   - Coroutines (iter.Pull) that workers resume: as fast, and a peer that hangs up
//     ends the process if loops are locked to their threads.
//   - A fork of crypto/tls that does not block: it mixed up the plaintext of two
//     sessions.
//   - One buffer for whichever session reads: no gain, and the same danger.
package tlsio
