// Package dkim reads and writes what DKIM signatures are made of (RFC 6376): the
// canonical forms of a header and of a body, the DKIM-Signature field, and the TXT
// record of a key. It asks no DNS and knows no clock; package engine/mail/dkim signs with
// it, package engine/admit/screen checks.
//
//	h, err := dkim.ParseHeader(octets)
//	sig, err := dkim.ParseSignature(field)
//	body := dkim.NewBody(hash, sig.Body)    // body.Write as octets come, body.Close
//	sig.WriteHeader(hash, h)
//	key, err := dkim.ParseKey(record)
//	err = key.Verify(hash.Sum(nil), sig.Signature)
//
// # What strangers can make it do
//
// All of it is linear in the input, and keeps a small constant besides what it is given:
//
//   - Empty lines that may turn out to be the last of a body are a number, not octets.
//   - A header has at most [MaxFields] fields. They are sorted by name once, and a name
//     in h= costs a binary search.
//   - A list in h= has at most [MaxNames] names, and each picks a field that was not
//     picked before: a signature's hash is over the octets of the header.
//   - An RSA key has at most [MaxKeyBits] bits. A longer record is refused by its length,
//     before it is parsed.
//
// # Why it is not github.com/emersion/go-msgauth
//
// That library (v0.7.0) has no way in between its canonical forms and its signatures, and
// both grow with hostile input: it keeps trailing empty lines once for each signature, and
// looks at all fields for each name in h=. Measured on two cores, the same messages as a
// stranger sends them, CPU and memory of the whole server:
//
//	message                                              go-msgauth           here
//	45 MB of blank lines, 8 relaxed signatures           13.9 s, +1,330 MB    0.7 s, +16 MB
//	6 MB of blank lines, 1 simple signature              20.2 s               0.1 s
//	1 MB of blank lines, 8 simple signatures             3.8 s                below 0.05 s
//	40,000 names in h= over 40,000 fields, 234 KB        over 60 s            below 0.05 s
//	one field folded 60,000 times, 240 KB                8.6 s                below 0.05 s
//	6 signatures by an RSA key of 95,000 bits            3.1 s                below 0.05 s
//	signing 40 MB of blank lines                         +222 MB              constant
//
// The library is the other side in tests: what it signs has to pass here, and what is
// signed here has to pass there.
package dkim
