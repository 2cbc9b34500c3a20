// Package password makes and verifies password hashes. It keeps nothing and
// does no I/O, but it is slow by design: call it from a bounded pool, never on
// an event loop.
//
// New hashes are argon2id (RFC 9106), written as Dovecot has them:
//
//	{ARGON2ID}$argon2id$v=19$m=7168,t=5,p=1$salt$hash
//
// The cost is the caller's. The default of auth.argon2_memory and auth.argon2_time is one of
// the sets that OWASP's Password Storage Cheat Sheet calls equally strong (46 MiB and 1 pass,
// 19 and 2, 12 and 3, 9 and 4, 7 and 5; one thread each). With two hashes at once on two
// cores (AMD EPYC, 1 MiB of L2 a core) one took 33, 26, 22, 21 and 20 ms of a core: the
// smaller block of memory misses fewer caches and takes fewer page faults, and memory times
// passes is a little less too. So 7 MiB and 5 passes.
//
// After it, separated by a blank, comes what SCRAM-SHA-256 needs (RFC 7677), which
// can't be made of another hash, only of the password:
//
//	{SCRAM-SHA-256}16384,salt,stored key,server key
//
// Both in one stored text, so that neither the store nor what is in it changes. An account
// from an import has one scheme; its verifier is made after its first login by password
// (see Verifier and package login). A password that comes in the clear
// is verified by the first scheme. An attacker that has the file guesses against the
// weaker of the two, and PBKDF2 is weaker than argon2id whatever its iterations:
// where SCRAM is not among auth.mechanisms, no verifier is made.
//
// What other servers keep is verified as well, so that accounts move without
// new passwords: see schemes. [Recognize] tells such hashes, with and without a scheme
// before them, from passwords in a file of accounts.
//
// yescrypt ($y$, the default of Debian) is Openwall's own code, which github.com/go-crypt/x
// keeps: it bounds N and r. The module openwall/yescrypt-go itself is not on the proxy. The
// bounds of all schemes are checked before a library sees a hash.
//
// A hash carries its own cost; changing the configured one changes nothing that
// is stored. The cost that a stored hash may ask for is bounded, so that an
// imported line can't take the machine's memory.
//
// A password is hashed as SASLprep has it (RFC 4013), in the hash and in the verifier.
// One that is typed is tried as its octets came and then as SASLprep has it, never in
// more forms: each costs a hash.
//
// Comparisons take constant time. [Dummy] costs what a wrong password costs,
// for user names that are not there: as many hashes for the same typed text.
package password
