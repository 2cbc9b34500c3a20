// Package pop3d is the POP3 session as a pure machine: octets of the peer go in,
// reply octets and at most one question come out. It does no I/O, uses no clock
// and starts no goroutine; package engine drives it. RFC 1939 is the protocol,
// with the extensions TOP, UIDL, USER, PIPELINING, RESP-CODES, EXPIRE, LOGIN-DELAY
// and IMPLEMENTATION (RFC 2449), AUTH-RESP-CODE (RFC 3206), UTF8 and LANG (RFC
// 6856), and by configuration APOP, AUTH (RFC 5034, package sasl) and STLS (RFC
// 2595). Passwords in the clear are accepted only over TLS, from loopback, or when
// that is configured.
//
// # How to drive it
//
//	s.Init(cfg, timestamp, peer)
//	s.Greet(e)
//	for each read:       n := s.Feed(in, e); keep in[n:] and present it again with more
//	for each question:   s.Answer(a, e), then Feed with what is kept
//	after 10 minutes:    s.TimeOut(e)
//	when the server ends: s.Shutdown(e)
//	when the account has another password or is gone, before the next command: s.Expire(e)
//
// After each call carry out e: send Reply, find the answer to Ask, close if
// Close; then Reset e. While a question is open nothing is consumed, so that
// pipelined commands (RFC 2449 section 6.6) wait in order. The replies of the
// commands that one Feed consumed are gathered.
//
// # What it promises
//
//   - Deletions are marks until QUIT asks AskUpdate, once, with all of them.
//     A lost connection, a time-out, a shutdown or too many errors delete nothing.
//   - LIST, STAT, UIDL and RETR see the listing that the login brought, and
//     nothing that arrives later (RFC 1939 section 8 has the reason).
//   - Replies are bounded: after Config.ReplyBudget octets it asks AskDrained and
//     goes on when the peer has read them. A listing of a million messages and a
//     peer that sends commands and reads nothing both cost no more than that.
//   - Whether a user exists can't be learned: USER is always fine, and Denied is
//     one text.
//   - A command costs no allocation, except the login and the first DELE.
//
// # Diagnostics
//
// Every -ERR that is the peer's fault counts; Config.MaxErrors of them in a row
// close the session, after the reply. Before the login no success resets the
// count, so that it bounds the passwords that one connection can try.
//
// # Files
//
// session.go: the input; commands.go: one function a command, in a table with
// the states that allow it; answers.go: what follows each answer; listings.go:
// responses made in pieces; auth.go and stls.go: the exchange of AUTH, and TLS;
// maildrop.go: deletion marks; facts.go: what the caller may read;
// text.go: the texts of replies, by language.
package pop3d
