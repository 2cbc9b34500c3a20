// Package sendmail has the command that programs call to hand in mail: sendmail, with
// the options that it has had for forty years.
//
// A message goes one of four ways, whichever is open first: into the store, which the
// command opens or which a running server has open (for root and the server's user);
// to the running server at its socket for all users; by SMTP to the server's first
// address. Sendmail says so by its exit code: 0 is a promise that the message is stored.
//
// Sendmail is also called for what other commands do: -bp (mailq), -bi (newaliases), -q
// (queue flush). Main hands these in (Others), so that this package imports no other folder of
// commands.
package sendmail
