// Package store has the commands about the mail of the store as a whole: check reads all
// of it, export writes it into files, import reads files into an account.
package store
