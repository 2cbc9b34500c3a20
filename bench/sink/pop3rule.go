package sink

// POP3Grammar is the form of rules for POP3, for people.
const POP3Grammar = `For POP3 the ACTIONs are err (-ERR), inuse ([IN-USE]), temp ([SYS/TEMP]), perm
([SYS/PERM]), auth ([AUTH]), delay ([LOGIN-DELAY]), waitDURATION, reset, close, silence;
miscount (other octets; stat, list, retr), nodot (no final dot; list, uidl, retr, top)
and unstuffed (dots at the begin of lines as they are; retr, top).
STAGE: greeting, stls, handshake, user, pass (or AUTH), stat, list, uidl, retr, top, dele,
body (half of a message is sent), end (all of it but the final dot), quit (what was
deleted stays). A user name may be a rule, too: err-retr-after3@any.example.`

var pop3Dialect = dialect{
	map[string]Stage{
		"greeting": Greeting, "stls": Upgrade, "handshake": Handshake, "user": User, "pass": Pass, "stat": Stat, "list": List, "uidl": Uidl,
		"retr": Retr, "top": Top, "dele": Dele, "body": Body, "end": End, "quit": Quit,
	},
	map[string]action{
		"err": {status: "-ERR "}, "inuse": {status: "-ERR [IN-USE] "}, "temp": {status: "-ERR [SYS/TEMP] "}, "perm": {status: "-ERR [SYS/PERM] "},
		"auth": {status: "-ERR [AUTH] "}, "delay": {status: "-ERR [LOGIN-DELAY] "},
		"miscount":  {lie: miscount, at: []Stage{Stat, List, Retr}},
		"nodot":     {lie: noDot, at: []Stage{List, Uidl, Retr, Top}},
		"unstuffed": {lie: unstuffed, at: []Stage{Retr, Top}},
	},
	"err-retr-after3",
}

// ParsePOP3Rule reads a rule for POP3 such as "err-retr-after3" (see [POP3Grammar]).
func ParsePOP3Rule(text string) (*Rule, error) { return parseRule(text, &pop3Dialect) }
