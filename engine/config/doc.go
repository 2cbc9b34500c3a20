// Package config holds what an operator can set. Each key is defined once, in
// keys.go: its name, the field of [Config] that it fills, default, bounds, unit,
// the RFC's minimum and its help. All else is made from that table: reading a
// TOML file ([Load]), the flags of serve (a [Key] is a flag's value), "config
// show", "config defaults" and "config check". The code reads typed fields and
// never names a key.
//
// # The content of a file
//
// TOML with one table per group: [server], [smtp], [pop3], [tls], [relay], [auth],
// [limits], [storage], [web], [log]. Sizes are written "50MiB" (KiB, MiB, GiB; kB, MB, GB;
// or plain octets), times "5m" (Go's durations). A key that is unknown or out of its
// bounds is an error, never a warning: a server that runs with a typo in its configuration
// runs with another configuration than its operator thinks. A key that an older version
// had is such an error, too, which tells what to do (retired.go). All faults of a file are
// reported at once, each with file, line, key and what is allowed.
//
// # Reload
//
// A running server takes another configuration (package server, Reload), in which the keys
// that are marked as needing a restart have kept their values. [Changes] compares two.
//
// # Order
//
// Default, then the file, then flags; [Config.Check] looks at keys together and
// comes last.
package config
