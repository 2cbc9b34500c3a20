// Package store has the commands about all mail of the store: check reads the whole
// store, export writes mail into files, import reads files into an account, import-tree
// the Maildirs of many accounts, and pull fetches an account's mail from another server;
// undelete brings deleted mail back; backup and restore copy the store, and salvage gets
// out what can be read of a damaged one.
package store
