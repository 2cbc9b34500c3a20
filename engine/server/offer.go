package server

import (
	"postrider/engine/admit/login"
	"postrider/engine/protocol/pop3d"
)

// pop3Offers are the configurations of a port of POP3.
func pop3Offers(c pop3d.Config) (all [login.Offers]pop3d.Config) {
	for o := range all {
		all[o] = c
		all[o].Mechanisms = login.Offer(o).Of(c.Mechanisms)
		all[o].APOP = c.APOP && login.Offer(o)&login.OfSecrets != 0
	}
	return all
}
