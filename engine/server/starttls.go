package server

import "postrider/engine/protocol/pop3d"

// mayStartTLS answers AskTLS.
func (s *pop3Conn) mayStartTLS() pop3d.Verdict {
	switch {
	case s.srv.draining.Load():
		return pop3d.Shutdown
	case s.TLSBusy(), s.TLSTooOften():
		return pop3d.Temporary
	}
	return pop3d.Yes
}
