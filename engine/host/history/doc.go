// Package history keeps what has happened to each message: how it came, to which maildrops
// it went, the dialogues with other hosts, and what operators and readers did with it. It is
// what "postrider why" prints. It is a log, not a part of the store: no message waits for
// it, none is refused because of it, and a backup has none of it.
//
//	e := log.Begin(history.Received, id, now)
//	e.Text(history.Sender, reversePath)
//	e.Number(history.Size, size)
//	log.Add(e)
//
// # Cost
//
// Add copies the event into a buffer. A goroutine takes what has gathered for a second or
// has filled a block, compresses it, and appends it to a file, in one write. Nothing is
// synced: a process that is killed loses what has gathered since the last write, a machine
// that fails loses some seconds more. Neither damages what is before it.
//
// # Bounds
//
// An event has at most maxEvent octets. At most maxWaiting octets wait to be written; more
// are left out and counted, as is what a disk does not take. The files have at most
// Settings.Room octets, and are deleted when all in them is older than Settings.Keep. What
// is older than that is not shown, also while its file is there. While Settings.Room is
// used up the oldest file goes for each new one. The files have an eighth of the free disk
// at most, and on a full disk nothing is written, so that mail never lacks room because of
// them. A clock that is set forward by more than Settings.Keep has all of them deleted.
//
// # Files
//
// The directory has files NAME.events, which are never changed once another one is begun.
// NAME is the time at which it was begun, in microseconds since 1970. A process begins a file
// of its own. A file is a sequence of blocks (block.go); each has a filter of the ids in it,
// so that a search reads the headers and few blocks. A block that is torn or damaged is
// passed over, and told.
//
// # Diagnostics
//
//   - "the history can't be written": the disk is full or fails. Events are left out until
//     it takes them again.
//   - "N events of the history were left out": for the reason that the line has.
package history
