// Package password makes and verifies password hashes. It keeps nothing and
// does no I/O, but it is slow by design: call it from a bounded pool, never on
// an event loop.
//
// New hashes are argon2id (RFC 9106), written as Dovecot has them:
//
//	{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$salt$hash
//
// What other servers keep is verified as well, so that accounts move without
// new passwords: {SSHA256}, {BLF-CRYPT} (bcrypt) and {SHA512-CRYPT} (crypt $6$).
// A hash carries its own cost; changing the configured one changes nothing that
// is stored. The cost that a stored hash may ask for is bounded, so that an
// imported line can't take the machine's memory.
//
// Comparisons take constant time. [Dummy] costs what a wrong password costs,
// for user names that are not there.
package password
