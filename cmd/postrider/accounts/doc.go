// Package accounts has the commands about what is ours: accounts, domains, aliases, and
// the keys that sign mail of our domains.
//
//	account     add, import, list, passwd, disable, enable, rename, quota, remove
//	domain      add, alias, list, quota, remove
//	alias       add, import, list, remove
//	newaliases  imports /etc/aliases
//	dkim        key, list
//
// Files of many accounts and of aliases are read by accountfile and aliasfile. An import
// is carried out as a whole or not at all.
package accounts
