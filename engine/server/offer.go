package server

import (
	"postrider/engine/admit/login"
	"postrider/engine/protocol/pop3d"
	"postrider/engine/protocol/smtpd"
)

// smtpOffers are the configurations of a port of SMTP.
func smtpOffers(c smtpd.Config) (all [login.Offers]smtpd.Config) {
	for o := range all {
		all[o] = c
		all[o].Auth.Mechanisms = login.Offer(o).Of(c.Auth.Mechanisms)
	}
	return all
}

// pop3Offers are the configurations of a port of POP3.
func pop3Offers(c pop3d.Config) (all [login.Offers]pop3d.Config) {
	for o := range all {
		all[o] = c
		all[o].Mechanisms = login.Offer(o).Of(c.Mechanisms)
		all[o].APOP = c.APOP && login.Offer(o)&login.OfSecrets != 0
	}
	return all
}
