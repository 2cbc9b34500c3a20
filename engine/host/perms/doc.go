// Package perms refuses files that others could read or change: passwords, keys,
// the data directory.
//
// A server that starts with such a file would go on for years with a secret that is
// none. So it does not start, and its error names the chmod or chown that helps:
// it changes nothing itself, since the operator may have set the mode on purpose.
//
// [Directory] wants 0700, [Secret] 0600, [SharedSecret] 0640 or less: private keys
// of TLS are often shared with a group, such as Debian's ssl-cert. All want the file
// to belong to the user who runs the server, or to root.
package perms
