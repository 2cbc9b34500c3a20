// Package privilege takes what only root may take, and then stops being root.
//
// [Bind] makes the listening sockets while the process still may use ports below
// 1024, or takes those that systemd hands over (socket activation, sd_listen_fds(3)),
// or those of the process that this one replaces. [Become] then gives up root for
// good: supplementary groups, group and user, of all threads, checked afterwards by
// trying to come back. Only after it are the store, keys and other files opened, so
// that all of them belong to the user, and what can't be read is noticed at once and
// not at the next reload.
//
// # Names of sockets
//
// A socket that is handed over says by its name (FileDescriptorName= in the unit)
// what is spoken there: smtp, smtps, submission, submissions, pop3, pop3s or http.
// Those of a name take the place of the addresses in the configuration. A name that
// is none of these stops the start: a socket without a listener would swallow
// connections for ever.
//
// [Sockets] stay open until the end, so that the process can hand them to the one
// that replaces it ([Sockets.Pass]), which is not root any more. Who connects
// meanwhile waits a moment and is not refused.
package privilege
