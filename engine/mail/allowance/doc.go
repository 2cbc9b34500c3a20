// Package allowance counts what each account sends in an hour, so that a stolen
// password sends little.
//
// The hour slides: what counts is the last sixty minutes, in whole minutes, so an
// account that has used all of its allowance gets it back as it spent it, and
// [Refusal] can tell when. It is pure: the caller brings the time.
//
// The counts are in memory, half a kilobyte for each account that sent something in
// the last hour, and gone with the process: a restart is rare, and to be generous then
// is not counted.
//
// A [Booking] is what one message has taken so far. A message that is not sent, and a
// recipient that is refused, give back what they took.
package allowance
