// Package pop3srv answers the questions of the machine pop3d.
package pop3srv
