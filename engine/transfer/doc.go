// Package transfer copies maildrops between a store and files, both ways. It is
// what the export and import commands call:
//
//	n, err := transfer.Export(ctx, store, account, dir, transfer.Options{Format: transfer.Mbox})
//	n, err := transfer.Import(ctx, store, account, path, transfer.Options{Format: transfer.Mbox})
//
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
// known; HTML only where there is nothing better) and, as uuencoded files, all
// other parts, as package entity tells them apart. What can't be decoded ends in a line
// in brackets that says so. An address of
// the default domain stands there by its local part alone.
//
// The trace fields of a message (Return-Path, Delivered-To) are part of it in the
// files, and part of its body after an import: POP3 shows the same octets. The
// time of arrival is kept by the raw text's Arrived, mbox's From line (seconds,
// UTC) and the files' time of change; plain text has its Date.
//
// # What an import makes of odd octets
//
// The store keeps good wire form only: LF without CR becomes CRLF, a CR without LF
// is dropped, a last line without end gets one. Mail that came by SMTP has none
// of these.
//
// # What is promised
//
// Export writes under a temporary name in dir, syncs, and renames: what stands
// under a final name is whole. It overwrites only if told. Import stores in the
// order of the file, or of the files' times and then names, several messages at
// a time; Count is those that the store has confirmed. After an error they stay
// stored, and as a rule they are the first ones: importing again stores them
// twice. Only regular files are read; links are passed over.
package transfer
