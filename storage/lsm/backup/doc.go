// Package backup copies a store, and what a server needs beside it, into a directory, and
// brings it back.
//
// # What is in a backup
//
//	DIR/2026-11-29T23-59-59Z/        one backup: complete by itself
//	    backup.jsonl                 the list of its files, written last
//	    data/                        the data directory
//	    postrider.toml               the configuration file, if there is one
//	DIR/2026-11-29T23-59-59Z.partial what a backup that was cut off has left
//
// data has the tables, blob files, logs and manifest of the store at one moment, and all
// other files of the data directory: the secret of SCRAM, DKIM keys, certificates, the
// account of ACME. Sockets, locks, the ballast, uploads of the web client, the history of
// messages and logs that were set aside are not in it, nor is what the configuration names
// elsewhere.
//
// # How it is taken
//
// Tables and blob files never change once they are written. Where the file system allows
// it they are linked: that takes no time and no room. Elsewhere the files
// that the last backup has, with the same name, size and time of change, are linked to it,
// and the others are copied. All else is small and copied each time.
//
// The list has each file's size, and the checksum (SHA-256) of what was copied; a linked
// file has the checksums of its blocks. The list ends with a checksum of itself. It is
// written and synced after all files, and then the directory gets its name. So a backup
// that was cut off is never taken for a whole one. The next one deletes it.
//
// # Restoring
//
// Restore copies into a data directory that is empty or not there, and compares sizes and
// checksums. It has the lock of the directory, so that a server or a second restore that is
// started meanwhile says that the store is in use. Until all is there and synced, the file
// restore-unfinished is in the directory: after a restore that was cut off no server starts
// on it, no backup is made of it, and the next restore begins again.
package backup
