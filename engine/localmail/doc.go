// Package localmail takes mail from every user of this machine: the unix socket that
// sendmail hands messages to when its caller may not use the admin socket.
//
// Whoever can connect may hand in a message, and nothing else: nothing can be read or
// asked. The kernel says who calls (SO_PEERCRED), and that goes into the Received field
// and the log; the reverse-path is the caller's choice, as with Postfix.
//
// A message is one POST: the length of the JSON of a [Letter] in decimal and a line end, the
// JSON, the text. The answer is the JSON of an [Answer]. A body that breaks off is no message.
//
// # Bounds
//
// Connections are limited in all and for each user; so are messages at work, the size of
// the Letter, silence, and the time of a message.
package localmail
