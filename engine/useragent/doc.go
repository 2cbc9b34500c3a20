// Package useragent is a Mail User Agent (RFC 5598 section 2.1.1) without its face: it
// reads maildrops by POP3 and submits messages by SMTP, with any server. The command
// "postrider mail" is made of it; the server itself does not use it.
package useragent
