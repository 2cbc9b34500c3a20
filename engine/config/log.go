package config

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"
)

// Log says where the log goes, and how its lines look.
type Log struct {
	To     string // stderr, syslog, journal, or the path of a file
	Name   string
	Format LogFormat
	Level  slog.Level

	ClientLines string // limit.ParseRate reads it; "": no limit

	History     time.Duration // 0: none is kept
	HistorySize int64
}

// LogFormat is the form of the lines.
type LogFormat string

// The values of log.format.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

func keysOfLog(c *Config) []*Key {
	return []*Key{
		text("log.to", &c.Log.To, "stderr", logTo, "stderr, syslog, journal, or an absolute path").
			help("Where the log goes. stderr: standard error, and line by line to the journal if systemd has connected it. syslog: /dev/log. journal: the journal. A path: that file, opened again at SIGHUP, as logrotate needs it."),
		text("log.name", &c.Log.Name, "postfix", logName, "letters, digits, - and _").
			help("Name of the mail system in each line, before the daemon, as Postfix's syslog_name: with \"postfix\" the tools that read Postfix's logs (fail2ban, pflogsumm) read these."),
		choice("log.format", &c.Log.Format, LogText, LogJSON).
			help("text: lines as Postfix writes them. json: one object per line."),
		text("log.client_lines", &c.Log.ClientLines, "6000/1m0s", rate, "COUNT/DURATION; empty: no limit").
			help("Maximum number of lines that one client outside of relay.networks and smtp.trusted_networks may cause by connecting and by commands that are refused. What is left out is counted and told each minute. Lines about messages are always written."),
		level("log.level", &c.Log.Level, slog.LevelInfo).
			help("The lowest level that is logged."),
		duration("log.history", &c.Log.History, 48*time.Hour, 0, 365*day).
			help("How long it is kept what happened to each message: what \"postrider why\" prints. 0: none is kept, and what there is is deleted. Failed attempts of queued mail are kept in any case, until two days after relay.lifetime."),
		octets("log.history_size", &c.Log.HistorySize, gib, 16*mib, 1024*gib).
			help("The most that the history may take of the disk of server.data; the oldest part goes for what is new. A gigabyte has the history of some ten million messages."),
	}
}

// HistoryDir is where the history of messages is.
func (c *Config) HistoryDir() string { return filepath.Join(c.Server.Data, "history") }

func logTo(s string) (string, error) {
	switch {
	case s == "stderr", s == "syslog", s == "journal":
		return s, nil
	case filepath.IsAbs(s):
		return filepath.Clean(s), nil
	}
	return "", errors.New("not the path of a file: it does not begin with /")
}

func logName(s string) (string, error) {
	other := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	if s == "" || len(s) > 32 || strings.ContainsFunc(s, other) {
		return "", errors.New("not a name of 1 to 32 letters, digits, - and _")
	}
	return s, nil
}
