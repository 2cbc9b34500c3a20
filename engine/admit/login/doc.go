// Package login judges logins: is a claim (package sasl) true, and may the client have an
// answer now? SMTP, POP3 and the web client ask one [Door], so what counts for one counts
// for all.
//
// # One call
//
// A session hands an [Attempt] to [Door.Judge] and gets an [Outcome], now or by a call of
// its function done on a goroutine of the pool. The Attempt has the facts: the claim, the
// address of the client, the protocol. That SCRAM is bound to the TLS connection is in the
// claim: the exchange has checked it. A Door knows no session and keeps no pointer to one
// beside done.
//
//	Granted   the account, as it was (see Door.StillHolds)
//	Denied    wrong; the answer waits for Outcome.Wait
//	TooMany   not looked at, the network has too many wrong ones; the answer waits as well
//	Turn      many wrong ones came for that name: Judge again after Outcome.Wait, or Abandon
//	Busy      not looked at, the pool has no room or the server ends
//	Failed    the stored password can't be used, or a fault of ours; it is in the log
//
// A Door waits for nothing: the timers of the sessions do. [Door.SignIn] is Judge for a
// goroutine that may wait.
//
// # What happens where
//
// What needs no hash is judged by the goroutine that calls Judge: a proof of SCRAM,
// CRAM-MD5 or APOP, and a password that was right a short time ago (credentials.go). Other
// passwords go to the pool (Settings.Queue). A network that has others there, or wrong ones
// lately, comes after all other networks. A name without an account costs the same hash.
//
// After a password was right the pool makes the account's verifier for SCRAM, if it has none
// (verifier.go). That changes no credentials: open sessions go on.
//
// # What is counted
//
// A login takes a token of its network (failures.go) and one of its name (guesses.go) before
// it is looked at, so that logins under way count as wrong ones. Only a wrong claim keeps
// them. Every other outcome gives them back, once: right, Busy, Failed, a panic, a client
// that left while it waited for its turn. A client that leaves while the pool has its claim
// changes nothing: the claim is judged and counted as for one that stays.
//
// [Door.Stats] counts logins for the metrics, and wrong claims are logged here, in the line
// that fail2ban looks for.
//
// # Bounds
//
// Of networks and names 65,536 each are remembered, and auth.cache_size passwords. Nothing
// is on the disk but the secret for decoys of SCRAM (secret.go).
package login
