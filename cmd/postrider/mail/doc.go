// Package mail has the commands of the mail client, "postrider mail". It reads a
// maildrop by POP3 and sends by SMTP, with any server: it uses nothing of a store or of a
// configuration of ours.
//
// Messages come from strangers. What is shown on a terminal can't command it, names of
// attachments are made safe, and a file gets its name only when it is whole and synced.
// Nothing that is there is replaced unless that was asked for.
package mail
