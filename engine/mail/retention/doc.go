// Package retention has what is over its time deleted, while the server runs: mail that was
// in its maildrop for pop3.expire, deleted mail that was kept for storage.keep_deleted, and
// removed accounts that were kept for storage.keep_removed. It has no times of its own: the
// store knows how old things are (storage.Keeper), and what a step of it deletes.
//
// Steps are small, and between two of them the chore rests for longer than a step took, so
// that mail that comes meanwhile waits for milliseconds. It is one goroutine.
//
// Deleted mail and removed accounts are looked for every ten seconds, which costs nothing
// while there are none. The maildrops are visited once an hour, and one at which a session
// was then, each minute until it is free. Nothing goes early; what is over its time goes an
// hour late at most, or when its sessions end.
//
// # Diagnostics
//
//   - "mail expired": what was deleted in one maildrop, by its age.
//   - "deleted mail purged", "removed account purged": it can't be undeleted any more.
//   - "deleted mail purged before its time": the disk has no room for new mail; make some.
//   - "what is over its time can't be deleted": the store has failed, or a part of it can't be
//     read ("postrider check" tells); it is tried again.
package retention
