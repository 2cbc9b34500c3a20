// Package inspect looks at what a configuration is about: whether its files are there,
// can be read by the server's user and fit together, whether its addresses can be bound,
// what the data directory is, whether any host could relay, and with DNS whether other
// hosts will find and believe this one. "config check" prints what it finds.
//
//	found := inspect.Local(cfg, world)                 // no question to a name server
//	found = append(found, inspect.DNS(ctx, cfg, names)...)
//
// Package config checks what can be told from the file alone, and has done so before.
// Here nothing is changed: no file is made, and an address is bound only for a moment.
//
// A Finding is a fault, with which the server does not start, harms others, or fails its
// users, or a warning. Each says what is wrong, of which key, and what to do.
//
// World is what depends on the machine; tests have one of their own.
package inspect
