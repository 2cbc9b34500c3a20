package config

import "fmt"

// retired are keys that older versions had, and what has to be done about each: what the
// key did, and what takes its place. A file that has one is refused like one with an
// unknown key, so that no operator relies on a key that does nothing; but its operator has done
// nothing wrong, and is told what to do.
var retired = map[string]string{
	"pop3.expire_days": "it was announced to clients, but nothing ever expired by it; pop3.expire = \"90d\" deletes mail that is older",
}

// retiredKey tells what to do about a key of an older version; nil: it is none.
func retiredKey(name string) error {
	if advice, ok := retired[name]; ok {
		return fmt.Errorf("this key was removed: %s", advice)
	}
	return nil
}
