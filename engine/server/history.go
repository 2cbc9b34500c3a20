package server

import (
	"log/slog"

	"postrider/engine/config"
	"postrider/engine/host/history"
	"postrider/storage"
)

// historySettings are how much of the history is kept.
func historySettings(c *config.Config) history.Settings {
	return history.Settings{Keep: c.Log.History, Room: c.Log.HistorySize}
}

// newHistory makes the history of messages. Mail comes first: while the disk has room for
// neither, none is written.
func newHistory(c *config.Config, store storage.Store, log *slog.Logger) *history.Log {
	return history.New(history.Options{
		Dir: c.HistoryDir(), Settings: historySettings(c), Log: log,
		Free: func() int64 { return store.Health().FreeBytes },
	})
}

// History is what has happened to each message.
func (srv *Server) History() *history.Log { return srv.history }

// historyMetrics are the metrics of the history.
func (srv *Server) historyMetrics(gauge gauge, counter counter) {
	st := &srv.history.Stats
	counter("history_events_total", "Events of messages that were written to the history.", &st.Events)
	counter("history_left_out_total", "Events that were left out of it: the disk was full, failed, or was too slow.", &st.LeftOut)
	gauge("history_bytes", "Octets of its files, of log.history_size.", func() float64 { return float64(st.Octets.Load()) })
}
