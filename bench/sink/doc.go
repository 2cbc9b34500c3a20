// Package sink is the other end for tests of clients: an SMTP server that takes mail
// and throws it away, fast, and a POP3 server that has made messages and what arrived;
// or both fail as foreign servers do, when rules make them.
//
// # Use
//
// [Serve] listens and serves until the context ends. What goes wrong comes from
// [Options]: rules ([ParseRule]), waits ([ParseWait]), greylisting and a limiter;
// and from recipients: their local parts may be rules too, so that one sink plays
// many hosts at once: tempfail-rcpt-first2@any.example refuses twice. Chance comes
// from a seed and the number of the session: the same load meets the same faults.
//
// [Sink.ServePOP3] is the same for POP3, with [POP3Options]: rules ([ParsePOP3Rule])
// for all or for one user name, also for the middle of a message and for wrong answers.
// Maildrops hold what [Made] makes, and the newest messages that arrived, in memory.
// Every login is accepted; two sessions of a maildrop see it as it was when they
// began. [Sink.Metrics] counts for Prometheus.
//
// # Promises
//
// [Session] and [POP3Session] are pure machines: octets and the time in; replies, and at
// most one Effect, out. Two drivers run it: event loops on epoll for sessions in the
// clear, where a message costs its system calls and little more, and a goroutine
// for a session in TLS. A message counts as arrived when it was answered by 250.
//
// # What was dropped
//
// A goroutine for each session was the first driver of all: each read that waits
// costs a second read, which is most of what a message costs here. gnet would have
// done; but its loops have no timers, and a sink mostly waits.
package sink
