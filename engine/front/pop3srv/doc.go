// Package pop3srv answers the questions of the POP3 machine (package pop3d): it judges
// logins, opens maildrops, reads messages and deletes them. Package conn drives its
// sessions.
//
//	srv := pop3srv.New(settings, rooms)
//	group.Listen(addr, []byte(pop3srv.TooMany), edge.ProxyFirst(srv.Listener(stls)))
//	group.Listen(addr, nil, edge.ProxyFirst(srv.ListenerTLS(tls)))
//
// It gets [Settings] as values, and its neighbours as [Rooms]; it knows no configuration and
// no server. [Stats] count for the metrics.
//
// # A login
//
// Package login judges the claim. A password is hashed in a pool, and the same goroutine then
// locks the maildrop and lists it. A claim without a hash, such as a
// password that is remembered, goes to the pool of readers for that: a client that polls does
// not wait for clients that guess. The answer to a failed login waits for the delay of a
// failed login, by the timer of the loop.
//
// A session that has logged in ends before its next command when the account has another
// password or is gone. What was marked as deleted stays then.
//
// # A message's way out
//
// RETR sends a reader of the pool. It opens the message and copies it into a buffer; if the
// message is small, the messages that the client will most likely ask for next are copied
// after it. So a client that fetches its whole maildrop costs one trip to the pool for dozens
// of messages. A message that does not fit is streamed: one piece is read and written, and
// the next one is read only when the connection has sent all of it. What is sent is the wire
// form as it is stored; nothing is done per octet. TOP is streamed as well, and cut.
//
// Deletions are one request to the store, at QUIT. A session that ends otherwise deletes
// nothing (RFC 1939 section 6).
//
// # Jobs and goroutines
//
// A session belongs to the goroutine of its loop. What takes long is a job of a pool: a
// loginJob, a readJob or an updateJob. A job has a request and a result. The worker sees
// neither the connection nor the machine. The result comes back as a task of the loop. While
// a job is under way the session waits, and the lock of the maildrop and the buffer are the
// job's, even when the peer has left: they are given back when the job is done.
//
// # Bounds
//
// A listing is booked in Memory.Listings, 12 octets a message; without room the login is
// refused with [SYS/TEMP]. A buffer is booked in Memory.Bulk: [ReadBuffer], or [WideBuffer]
// for a client that fetches in order, if there is room for that at once. A session without
// room for a buffer waits in line. A silent client gives its buffer up after 3 seconds; what
// was read ahead is read again when the client asks for it.
//
// A command allocates nothing here, but for a login, the first DELE, and QUIT after it.
//
// # Diagnostics
//
//	Disconnected: Logged out top=0/0, retr=3/4512, ...   the last line of a session, as Dovecot writes it
//	reading mail of X: ...                               the client got -ERR and may go on
//	sending message N of X: the store can't read on      the connection was cut, so that no part is taken for the whole
//	deleting mail of X: ...                              the client got -ERR [SYS/TEMP] at QUIT; nothing is deleted
//	login of X: ...                                      the maildrop could not be opened; the client got -ERR [SYS/TEMP]
package pop3srv
