// Package privilege binds the ports that only root may bind, and then drops root.
//
// [Bind] makes the listening sockets while the process may still use ports below 1024. It
// also takes sockets from systemd (socket activation, sd_listen_fds(3)) or from the process
// that this one replaces. [Become] then drops root for good: it sets the supplementary
// groups, the group and the user on all threads, and checks that setuid(0) fails. The store,
// keys and other files are opened after that. So all files belong to the user, and a file
// that the user can't read is an error at the start, and not at the next reload.
//
// # Socket names
//
// A socket from systemd has its protocol as its name (FileDescriptorName= in the unit): smtp,
// smtps, submission, submissions, pop3, pop3s or http. Such sockets replace the addresses in
// the configuration. Any other name is an error: connections to a socket without a listener
// would wait for ever.
//
// [Sockets] stay open, so that the process can pass them to the process that replaces it
// ([Sockets.Pass], [Inherited]), which does not run as root. Clients that connect meanwhile wait
// a moment and are not refused. The next process knows them by their addresses in the
// configuration: it closes sockets whose address is not there any more, and binds what is new. [Try] finds
// before that whether it can. [Sockets.Unix] keeps unix sockets in the same way.
package privilege
