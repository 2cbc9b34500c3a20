// Package sasl is the server's side of SASL (RFC 4422): what a peer sends in the
// course of an authentication, taken apart and answered, without knowing a
// protocol, an account or a password file. It does no I/O, reads no clock and
// makes no random octets.
//
// # How it is used
//
// A session machine that has taken AUTH decodes what the peer sends (Decode) and
// gives it to an Exchange: Start with the initial response if there was one, then
// Next with each response. Each call returns a Step:
//
//   - Challenge: send Exchange.Challenge and wait for the response.
//   - Credentials: Exchange.Claim names a user; Use the Verifier of that user, or
//     one that Decoy made.
//   - Judge: Exchange.Claim is all that is needed to say yes or no. The exchange
//     is over, whatever is said.
//   - Malformed: the peer broke the rules of the mechanism. The exchange is over.
//
// # Mechanisms
//
//   - PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login, what old clients
//     have) bring the password in the clear. LOGIN's first response, the user
//     name, is taken with the command too: Python's smtplib sends it so.
//   - SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677) with the channel
//     bindings tls-exporter (RFC 9266) and tls-server-end-point (RFC 5929). A
//     client that could bind but believes that we can't is refused, because
//     a machine between the two has taken -PLUS off our list (RFC 5802 section 6).
//   - CRAM-MD5 (RFC 2195) needs the password in clear text on our side.
//
// # What it promises
//
//   - An Exchange of SCRAM does not reveal whether a user exists: Decoy makes salt
//     and keys from the name and a secret, always the same for the same name, and
//     a proof that doesn't fit is refused after the same number of steps.
//   - What a peer sends is bounded: MaxLine octets of base64, a user name of
//     MaxName octets, a nonce of maxNonce.
//   - Names are UTF-8 without NUL and control characters: they go into logs.
//     Passwords of PLAIN and LOGIN are any octets but NUL, compared as they are.
//   - Proofs and digests are compared in constant time.
//
// SASLprep (RFC 4013) belongs to SCRAM: its clients prepare the password before
// they hash it. NewVerifier wants it prepared; package password does that. User
// names are compared as the directory compares them.
package sasl
