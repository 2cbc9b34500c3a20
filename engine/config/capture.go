package config

import "time"

// Capture is the group [capture].
type Capture struct {
	On   bool
	Keep int           // messages; 0: no limit
	Age  time.Duration // 0: no limit
}

// CaptureAccount is the name, in the default domain, of the account that has all
// captured mail.
const CaptureAccount = "capture"

// keysOfCapture returns the keys of a server for tests of programs that send mail.
func keysOfCapture(c *Config) []*Key {
	return []*Key{
		boolean("capture.on", &c.Capture.On, false).flag("capture").
			help("Accept mail for every recipient of every domain, show it on one page (web.listen) and send nothing on. AUTH accepts any name and password. For load tests and developers.").atStart(),
		count("capture.keep", &c.Capture.Keep, 10_000, 0, 1<<30).flag("capture-keep").
			help("Number of captured messages that are kept, the newest ones; 0: all."),
		duration("capture.age", &c.Capture.Age, 0, 0, 3650*day).flag("capture-age").
			help("How long captured messages are kept; 0: for ever."),
	}
}
