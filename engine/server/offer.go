package server

import (
	"postrider/engine/admit/login"
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
