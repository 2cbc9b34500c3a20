// Package sendmail has the command that programs call to submit mail: sendmail, with
// the options that sendmail programs have.
//
// A message goes the first way that works: to the running server at its socket for all
// users; into the store, which the command opens or which the running server has open (for
// root and the server's user); by SMTP to the server's first address. Exit code 0 is a
// promise that the message is stored.
//
// Sendmail also does what other commands do: -bp (mailq), -bi (newaliases), -q (queue
// flush). Main passes them in (Others), so that this package imports no other folder of
// commands.
package sendmail
