// Package dkim signs mail with the keys of our domains (RFC 6376, and RFC 8463 for
// Ed25519). The forms that are hashed, and the field, are in package codec/dkim.
//
// # Keys
//
// A key is a file DIR/SELECTOR._domainkey.DOMAIN.pem, the name of its DNS record
// with ".pem" after it: PKCS #8, mode 0600. [Create] makes one, [Key.Record] is the
// TXT record that has to be published, [Open] reads all of a directory. A file whose
// name or text is not valid for a key stops the server: it would sign nothing, which
// would only be noticed when other hosts refuse the mail.
//
// # Which key signs
//
// [Keys.For] gives the keys of a domain, or, where it has none, of the nearest domain
// above it: receivers that ask whether the signature fits the From field take both
// (RFC 7489 section 3.1.1, relaxed). There is one for each kind of key: RSA, because
// all can check it, and Ed25519 beside it. Of several of a kind the first by selector
// signs, and [NewSelector] makes selectors that grow with time. So a new key waits
// until the file of the old one is gone, and its record has time to spread.
//
// # What is signed
//
// The body whole, and the fields in signedFields, as often as they are there; fields
// that a reader sees once more than that, so that another one can't be added (RFC
// 6376 section 8.15). Spaces may change on the way (relaxed). Received and the other
// trace fields are not signed, they grow.
//
// # How it is computed
//
// The hash of the body comes with the octets: nothing of a large message is kept but its
// header, of at most 256 KiB, and all keys share the one hash. Empty lines, which may be
// the last ones, are a number. [Signing] is for a caller that may wait; [Stream] is for an
// event loop, which may not: octets are copied into its queue, a goroutine that exists
// only while there are some hashes them, and its Backlog stops the peer when that is
// too long. The signature, a millisecond with RSA, waits for one of a few tokens.
//
// # Dropped
//
// Signing at the end from what the store has: it can't be read before it is
// delivered. Hashing on the loop: each octet is looked at. github.com/emersion/go-msgauth:
// it keeps empty lines as octets, 222 MB for 40 MB of them, and hashes the body once for
// each key.
package dkim
