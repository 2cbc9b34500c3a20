// Package transfer copies maildrops between a store and files, both ways. It is
// what the export and import commands call:
//
//	n, err := transfer.Export(ctx, store, account, dir, transfer.Options{Format: transfer.Mbox})
//	n, err := transfer.Import(ctx, store, account, path, transfer.Options{Format: transfer.Mbox})
//
// ImportTree imports the Maildirs of many accounts, and Copy what another server gives.
// It sees a store as a [Source] (View) or a [storage.Inbox] and streams: a message
// is never whole in memory.
//
// # Forms
//
//	text     NAME.TXT       one text file for people, package mbrain's plain entries
//	raw text NAME.TXT       the same with whole messages, octet for octet
//	mbox     name.mbox      one mboxrd file
//	maildir  name.maildir/  tmp, new and cur; messages in new, without flags
//	eml      name.eml/      one file a message, ID.eml
//
// NAME is mbrain.FileName's: safe whatever the account is called. mbox and maildir
// have LF, as programs on Unix expect; eml and raw text have the message as POP3
// gives it, with CRLF. All but plain text come back octet for octet. Plain text
// keeps the sender, date, subject, the text (in UTF-8, if its charset is
// known; of HTML, where there is nothing better, its words) and, as uuencoded
// files, all other parts, as package entity tells them apart. Control characters
// are shown by pictures, so that the file can be shown on a terminal; raw text
// has them as they came. What can't be decoded ends in a line in brackets that tells
// so. An address of the default domain is there by its local part alone.
//
// The trace fields of a message (Return-Path, Delivered-To) are part of it in the
// files, and part of its body after an import: POP3 shows the same octets. The
// time of arrival is kept by the raw text's Arrived, mbox's From line (seconds,
// UTC) and the files' time of change; plain text has its Date.
//
// # What an import looks at
//
// A file packed by gzip, zstd or bzip2, by its first octets, is unpacked, up to 250
// octets for each packed one; other packed files, and Outlook's files, are refused
// by name. UTF-16 becomes UTF-8; where a file has CR and no LF, CR ends its lines.
//
// A file that is to be a message begins with a header field. Before it, a byte order
// mark, empty lines, From_ lines and Outlook's "Microsoft Mail Internet Headers" are
// taken off. A file that is not a message is counted, and the import ends with ErrData. In an
// mbox file (see package mbox) nothing is left out for that: text without a header
// gets one.
//
// Deleted mail is passed over: the flag T of a Maildir, and an X-Mozilla-Status with
// 0008 that is before all trace fields, where no sender can put it.
//
// # The order
//
// An import stores in the order of the file. A Maildir comes in the order of its list,
// dovecot-uidlist or courierpop3dsizelist, what is not in it last, by the times in the
// names; without
// such times, as eml files, by the times of the files, and then by the names.
// A folder that Export made comes in the order of the messages' ids.
//
// # Unique-ids
//
// POP3 clients that leave mail on the server know it by its unique-ids (UIDL). They are kept:
// raw text has them in its UIDL lines, an exported Maildir in a dovecot-uidlist of its own,
// an eml folder in the names of its files and in uidl.map; mbox has no place for them. Where an import finds them is told at
// UIDLs. A message of a Maildir that no list has gets the name of its file as its unique-id,
// as with qmail and old Couriers: so nothing of a Maildir is stored twice, however often it
// is imported. The store decides about conflicts (see storage.Recipient), and the Result
// tells of them. A list that is there and can't be understood is an error, and nothing is
// stored: it would be too late for the unique-ids afterwards.
//
// # Trees
//
// ImportTree has several workers, each with a Maildir at a time: the order within an account
// is kept, and the syncs of many accounts' messages are awaited at once. A running server
// takes the messages of a worker in one request; with a request for each message, and two
// answers awaited, an import stored 1,100 messages a second where it is 8,000 now.
//
// A Maildir goes into the journal when all of it is stored. One that was cut off is read
// again, and what the store has is passed over by its unique-id and octets. Only for a
// Maildir of the journal, with Again, the unique-id alone is enough.
//
// # What an import makes of odd octets
//
// The store keeps good wire form only: LF without CR becomes CRLF, a CR without LF
// is dropped, a last line without end gets one. Mail that came by SMTP has none
// of these.
//
// # What is promised
//
// Export writes under a temporary name in dir, syncs, and renames: what has a final
// name is whole. It overwrites only if told. Import stores several messages at a
// time, in their order; Count has the ones that the store has confirmed. After an error
// they stay stored, and the error tells which: the first ones, and, if the store has
// refused a single message, perhaps some after it that were under way. Importing
// again stores only those twice that have no unique-id. Only regular files are read; links are passed over. What
// was passed over is in the Result.
package transfer
