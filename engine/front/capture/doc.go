// Package capture is the view of a server in capture mode (postrider serve --capture): all
// mail that came, for any recipient, in a web page and by a REST API, for load tests and
// for developers of programs that send mail.
//
//	view := capture.New(capture.Config{Store: store, Account: id, Keep: 10_000, ...})
//	go view.Retain(ctx)
//	http.Serve(listener, view)
//
// # What is kept
//
// One maildrop has everything; the engine puts it there, and a message with a hundred
// recipients is there once. Its trace tells the envelope: Return-Path, and a
// Delivered-To field for each recipient. Retain deletes what is beyond Keep or older than
// Age, in the background, a thousand messages at a time: the newest stay. What is deleted,
// by Retain or by the API, is not kept for an undelete.
//
// Nothing is parsed, counted or indexed when mail comes, so that a load test measures the
// server. A page reads the heads of the messages that it shows; a search reads messages
// from the newest on until it has found enough. What waits for mail looks five times a
// second whether there is any, and only while a client waits.
//
// # The API
//
// Its paths and field names are the ones of Mailpit's API v1, as far as they are simple:
//
//	GET    /api/v1/info
//	GET    /api/v1/messages?start=0&limit=50         newest first
//	GET    /api/v1/search?query=Q&start=0&limit=50
//	DELETE /api/v1/messages                          {"IDs": [...]}, or nothing: all
//	DELETE /api/v1/search?query=Q
//	GET    /api/v1/message/ID                        ID may be "latest"
//	GET    /api/v1/message/ID/headers
//	GET    /api/v1/message/ID/raw
//	GET    /api/v1/message/ID/part/PART
//
// and two of our own, which tests need:
//
//	GET    /api/v1/wait?query=Q&count=1&timeout=10s  answers as search does, once there are
//	                                                 count of them; 408 when time is up
//	GET    /api/v1/events                            server-sent events: {"Total", "Newest"}
//
// A query is in Mailpit's syntax: words that all have to be found in the subject, the
// addresses, the text, or the names of files. from:, to:, cc:, bcc:, reply-to:,
// addressed:, subject: and message-id: name the field. has:attachment, has:inline, is:unread,
// is:read, after:DATE, before:DATE, larger:SIZE and smaller:SIZE ask for properties; tz=ZONE
// beside the query is the time zone of its dates. "Two words" go together, and a "-" or
// "!" before a term asks for its absence. What can't be carried out is answered with 400:
// tag:, for there are no tags, and "-name:" of an unknown name, which would be true of
// nearly every message. A word with a colon that is not a filter is searched for as text.
//
// The text is decoded, of HTML its words, each part one line. "complete" is false if time
// was up, or a text was longer than is searched and the rest could decide; its message
// is not found then, whatever was asked.
//
// from: and to: look at the envelope as well, where tests look for the recipients of a message;
// but DELETE takes only what they find in the header, as Mailpit does.
//
// Errors are {"Error": "what is wrong"} with a status that fits. There are no tags and no
// read marks: Read is always false.
package capture
