// Package lsm is the embedded engine of the mail store, on Pebble. It is the only
// package that knows Pebble and how bodies are stored. The edge uses it through
// package storage; only the command opens it.
//
// # Layout
//
// A key is one octet for the kind of row, then fixed fields. All numbers are big
// endian, so that the order of keys is the order of numbers. id is a MessageID
// (see idSource), acct an AccountID.
//
//	key                       value
//	'A' domain 00 local       1 acct(4), or 2 and targets, each ended by 00, or 3
//	                          acct(4) targets: an account and the alias of its name
//	'B' id(8) chunk(4)        codec(1) crc32c(4, of what follows) octets(4) data
//	'C' acct(4)               messages(8) octets(8): Merge adds, signed
//	'D' domain                1, or 2 octets(8) messages(8): its quota, or 3 and the
//	                          domain that it is an alias of
//	'E' id(8) part(4)         flags(1) due(8, us) domain: the place of the Q row
//	'F' path 00 id(8) part(4) nothing: queue entries by reverse-path, lower case
//	'G' status 00 id part     nothing: queue entries by last status
//	'I' acct(4) uidl          id(8): the message that came with this unique-id
//	'K' acct(4) id(8)         at(8, us) and the value of the M row that was deleted then
//	'J' id(8) at(8, us) part(4)  text: a line of the message's history
//	'L' acct(4)               at(8, ms): the last login, to ten minutes
//	'M' acct(4) id(8)         1 flags(1) arrival(8, ms) wire(8) size(8)
//	                          crc32c(4, of the body) chunks(4) length(2) trace uidl
//	'N'                       entries(8) octets(8) of the queue: Merge adds
//	'O' acct(4)               at(8, us): the last undelete of one of its messages, or of itself
//	'P' id(8)                 nothing: a draft with chunks on the disk
//	'Q' domain 00 due(8, us) id(8) part(4)
//	                          1 flags(1) body flags(1) crc32c(4, of the body), then
//	                          numbers as varints and texts with their lengths
//	                          before them: see appendQueueEntry. Of flags the bit
//	                          for a stranger's mail was not set by older programs
//	'R' id(8)                 owners(4): the M, K and Q rows of a shared body
//	'T' at(8, us) acct(4) id(8)  nothing: a deleted message by the time of its deletion
//	'U' acct(4)               3 quota(8) created(8, ms) messages(8) access(1)
//	                          expire(8, ns), then
//	                          name, domain, hash and secret, each as length(2) and
//	                          octets; in version 2 without expire, in version 1 without
//	                          messages and access, too
//	'V'                       messages(8) octets(8) that were deleted and are kept: Merge adds
//	'W' bucket(4) domain      nothing: look at the destination after second
//	                          4 * (bucket + 1)
//	'X' "format"              the version of this layout(8)
//	'X' "ids"                 all ids on the disk are below this one(8)
//	'X' "stamps"              all due times that stamps gave are below this one(8, us)
//	'X' "account"             the next AccountID(8)
//	'Y' acct(4)               1 at(8, us) login(8, ms) and the value of the U row: an
//	                          account that was removed then
//	'Z' acct(4)               nothing: an account that is being deleted
//
// A Q row of version 2 has Envelope.Front after its other texts; one of version 1
// has none. One of version 3 has Front and then Ahead, in microseconds: the machine's
// clock, which gave its arrival, differed from the queue's clock.
//
// A chunk is 64 KiB of the body in wire form, the last one less; octets is its
// length in wire form, data what the codec (0 raw, 1 S2, 2 zstd) made of it. Flag
// 1 of an M row, and of the body flags of a Q row: the body is shared and has an R
// row; otherwise the row owns its body. Flag 2: some chunk is compressed. Flag 4: the
// body is in wire form as package dot defines it now; without it the body is of an older
// version and passes a dot.Mender when it is read (mend.go). Flag 8 of an M row: after the
// trace is the unique-id that the message came with, which has an I row; without it the id
// is the unique-id. Flags of an E row: 1 held,
// 2 warned. The due time of an entry that is held is all ones.
//
// # The states of a message
//
// After a crash, at any moment, a message is in one of these states. Each arrow
// is one atomic batch; only those marked * are waited for until they are synced.
//
//	state        rows           seen  next
//	S1 nothing   none           no    first chunk -> S2, delivery* -> S3 or S4
//	S2 draft     P, some B      no    more chunks -> S2, delivery* -> S3 or S4,
//	                                  discard, or the next start -> S1
//	S3 owned     M or Q, all B  yes   expunge* or settle* -> S1, or expunge* -> S5
//	S4 shared    n M+Q, R=n, B  yes   by one owner -> S4 with n-1; by the last -> S1
//	S5 deleted   K and T, all B no    undelete* -> S3, purge* -> S1
//
// An owner of a shared body can be a K row, too. A message of up to 64 KiB goes from S1 to
// S3 in one batch. Nothing else exists:
// a body without P, M, K or Q, one of these without its body, an R that counts wrongly are
// faults that Check reports and no crash makes (crash_test.go crashes before
// every write). Removing an account is: delete A, L and U, set Y (synced: from here
// on nothing is delivered to it), and restoring it is the same batch back. Deleting it is:
// delete A, L and U, or Y, and set Z; then delete its messages in steps; the last one deletes
// Z. A start goes on with every Z it finds. Messages whose rows are damaged are passed over: they
// stay. See keep.go.
//
// # The mail queue
//
// What is true of it at every moment, after a crash too, and what Check verifies:
//
//   - each Q row has its E row with the same domain and due time, its F row, and its
//     G row if a status is known; there are no others of these;
//   - a destination with a Q row that is not held has a W row: it will be looked at;
//   - the R row of a shared body counts its M and Q rows together;
//   - N is what the Q rows add up to.
//
// An entry is put (delivery*), moved (settle*, an operator's move*: Q, E and G again in
// one batch) and removed (settle*, move*). A settlement may be in the batch of a
// delivery: then a notification and the settlement that it reports are one step.
//
// The committer gives the due times, by the clock of stamps, which knows no steps of the
// machine's clock (see stamp.go): a row is never put before one that a reader has been
// shown, so the reader's Cursor is all that
// a sweep of a destination has to remember, and it steps over the tombstones of what
// it has settled only once. Since each change gives an entry another due time, that
// is also the fence that shows whether a Settlement was made from the entry as it is.
//
// A destination that is awake keeps the W row that woke it until Sleep puts another
// in its place, so that all that is queued meanwhile writes none. Only Sleep is not
// waited for: if it is lost in a crash, the older row is there and wakes sooner.
// Awake reads the rows of buckets that have ended from where it stopped the last
// time; a new row is always in a later bucket. See wake.go.
//
// Settlements of many callers go in one batch. What they have to read (where the
// entry is, the owners of its body) may be changed by the open batch, where Get
// does not see it: mailQueue keeps these changes in memory until they are applied.
// Flushing before every such read was the alternative, and makes groups of one.
//
// # Why it is so
//
// Bodies are under the global, rising id and not under the account: 2.7 times
// the deliveries, 1.7 times fewer octets written with a million accounts. 64 KiB
// chunks bound every step and were the fastest of 16 to 256 KiB; a large value
// would take batches of its size, each with a new WAL. Chunks are applied unsynced
// while DATA arrives; the WAL's order makes them durable with the delivery's batch.
//
// The owners of a shared body are counted by reading and writing, on the one
// committer goroutine, and not by Merge: then the last owner's batch deletes the
// body with its entry, and there is no state "counted to zero, body still there"
// that a sweep would have to look for. C rows are merged, since a delivery should
// read nothing.
//
// Chunks are compressed here and not by Pebble, so that WAL, memtable and cache
// hold the small form too. Small mail gets S2: zstd halves text where S2 takes it
// to 60 %, but costs five times the time, as much as the rest of a delivery. Full
// chunks get zstd beside the committer, with its literals coded: base64 has no
// matches, and S2 wins nothing of it. Measured side by side, none and then auto, 4
// KB of prose: 36.2k and 22.8k messages a second at 20 in flight, 77.9k and 66.8k
// at 200 (2 cores, both busy); attachments of 1 MB: 362 and 363 MB/s, of 50 MB: 349
// and 287 MB/s, for a quarter to two fifths fewer octets on the disk. With more
// than 256 deliveries in flight nothing is compressed. Later zstd got an allowance of a
// tenth of the cores, beyond which S2 takes over: 1 MB of text, 171 MB/s and 9.3 ms a
// message without it, 283 MB/s and 4.5 ms with it. Pebble compresses all but bodies.
//
// One goroutine applies and waits for the sync, and what comes in meanwhile is the next
// round. With a waiter and a syncer of its own for each group, groups were smaller and
// each had two more hand-overs between threads: 2.8 futex calls a message where it is
// 1.9 now, at 20 sessions. The pause of gather on top of it: see bench/JOURNAL.md.
//
// What reads a whole maildrop in order does so by iterators that stay where they are
// (sequence.go), and what a login lists is kept (listings.go): each point read finds
// its way through all levels and files again, and costs more than the octets.
//
// # When the disk fails
//
// Any failed write or sync of the WAL, the MANIFEST or a blob file ends the
// writing for good: all in flight is answered ErrFailed, and so is all that comes
// later, reads go on as far as they can, and Options.Failed is called. The process
// has to start again. See faultFS for what of this Pebble could not do by itself.
//
// A store without the marker of its manifest is refused: Pebble would take it for a new
// one, and delete its files.
//
// Every read checks length and checksum: Pebble v2.1.7 may return nothing, without
// an error, for a damaged blob. What fails is ErrCorrupt; a panic under a read is
// too. See space for the full disk.
//
// # Diagnostics
//
//   - "the store can write no more": the disk failed; look at its log; start again.
//   - "the disk is almost full", "the ballast was given up": make room; the store
//     takes mail again by itself.
//   - "a file of the store is damaged", "the store in DIR is damaged": run the check;
//     restore from a backup, or salvage (salvage.go).
//   - "the store holds writes back": the disk is slower than the mail comes.
//   - "a log of the store lost its end since the store was closed": see closed.go.
//   - "a log of the store is missing": the manifest wants one, and there is none.
//   - "a log of the store is damaged on the disk": octets that had been synced can't
//     be read, so acknowledged messages are lost; damaged-NUMBER.log keeps the log.
//
// # Limits
//
// Ids are good until the year 2109 and for 65,536 messages a millisecond. A
// directory of a million accounts takes about 200 MB of memory with 100-octet
// password hashes, which are in memory so that Account never blocks. Locks are
// memory only, since no other process can open the store.
package lsm
