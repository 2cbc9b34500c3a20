// Package trace writes the dialogue of a session down as lines, as the program swaks does:
//
//	<-  220 mx.example.org ESMTP postrider
//	 -> EHLO client.example
//	<~  235 2.7.0 Authentication successful
//	 ~> MAIL FROM:<a@client.example>
//	=== TLS started: TLSv1.3
//
// The arrows point from the one that has sent a line: "<-" is the server, "->" the client;
// with a tilde it came through TLS.
//
// # What is not shown
//
// Credentials: what AUTH has after the mechanism, all responses to it, the argument of PASS,
// the digest of APOP, challenges, and commands that the server does not know, for they may be
// any of these. The octets of a message after its header: their number is shown. So
//
//	-> AUTH PLAIN (not shown)
//
// # How it knows
//
// A [Dialogue] sees the octets that a machine has taken, together with what the machine was
// at before ([At]). A machine takes whole command lines, and reads a response to AUTH only
// when it is at Secret. Within one run of octets the machine may go on to other states, and
// the Dialogue can't see that; so after AUTH or DATA nothing more of the run is shown. It may
// hide too much, but never too little.
package trace
