package pop3d

import (
	"bytes"
	"strconv"
	"strings"

	"postrider/codec/pop3"
)

// text is the text of a reply. Each is in texts, once per language, with a # for
// each number.
type text uint8

const (
	textReady text = iota
	textSendPassword
	textMaildrop
	textUnique
	textOctets
	textTop
	textDeleted
	textNothingDone
	textBye
	textUpdated
	textCapabilities
	textUTF8
	textLanguages
	textLanguage
	textUnknown
	textSyntax
	textTooLong
	textLoginFirst
	textLoggedIn
	textUserFirst
	textNoMessage
	textNoLanguage
	textDenied
	textInUse
	textTooSoon
	textTemporary
	textGone
	textNotUpdated
	textShutdown
	textDismissed
	textMechanisms
	textNoMechanism
	textNeedTLS
	textNotBase64
	textBadResponse
	textCancelled
	textTooManyFailed
	textTLSReady
	textTLSOn
	textTLSLater
	textTooEarly
	textExpired
	texts = iota
)

// language is one of the languages of the texts. The first is what a session
// begins with (RFC 6856 section 3: i-default, RFC 2277 section 4.5).
type language uint8

const (
	iDefault language = iota
	english
	german
)

// languages are the tags that LANG knows, with their names in themselves.
var languages = [...]struct {
	tag, name string
	texts     *[texts]string
}{
	iDefault: {"i-default", "Default language", &englishTexts},
	english:  {"en", "English", &englishTexts},
	german:   {"de", "Deutsch", &germanTexts},
}

var englishTexts = [texts]string{
	textReady:        "POP3 server ready",
	textSendPassword: "send the password",
	textMaildrop:     "# messages (# octets)",
	textUnique:       "unique-id listing follows",
	textOctets:       "# octets",
	textTop:          "top of message follows",
	textDeleted:      "message # deleted",
	textNothingDone:  "nothing done",
	textBye:          "goodbye",
	textUpdated:      "goodbye, messages deleted: #",
	textCapabilities: "capability list follows",
	textUTF8:         "UTF-8 enabled",
	textLanguages:    "language listing follows",
	textLanguage:     "language is English",
	textUnknown:      "unknown command",
	textSyntax:       "wrong arguments",
	textTooLong:      "line too long",
	textLoginFirst:   "log in first",
	textLoggedIn:     "not after login",
	textUserFirst:    "USER comes before PASS",
	textNoMessage:    "no such message",
	textNoLanguage:   "no such language",
	textDenied:       "user name or password is wrong",
	textInUse:        "another session has the maildrop open",
	textTooSoon:      "wait # seconds between logins",
	textTemporary:    "temporary server error, try again later",
	textGone:         "the message can't be read",
	textNotUpdated:   "some deleted messages not removed",
	textShutdown:     "server shutting down",
	textDismissed:    "an operator has ended this session, try again later",

	textMechanisms:    "mechanisms follow",
	textNoMechanism:   "no such mechanism",
	textNeedTLS:       "passwords are not taken in the clear here: use STLS first",
	textNotBase64:     "the response is not base64",
	textBadResponse:   "the response breaks the rules of the mechanism",
	textCancelled:     "authentication cancelled",
	textTooManyFailed: "too many failed logins from your network, try again later",
	textTLSReady:      "begin TLS negotiation",
	textTLSOn:         "TLS already active",
	textTLSLater:      "TLS not available now",
	textTooEarly:      "data received after STLS and before the TLS handshake",
	textExpired:       "the password was changed or the account was removed, log in again",
}

var germanTexts = [texts]string{
	textReady:        "POP3-Server bereit",
	textSendPassword: "bitte das Passwort senden",
	textMaildrop:     "# Nachrichten (# Oktette)",
	textUnique:       "Liste der eindeutigen Kennungen folgt",
	textOctets:       "# Oktette",
	textTop:          "Anfang der Nachricht folgt",
	textDeleted:      "Nachricht # gelöscht",
	textNothingDone:  "nichts getan",
	textBye:          "auf Wiedersehen",
	textUpdated:      "auf Wiedersehen, gelöschte Nachrichten: #",
	textCapabilities: "Liste der Fähigkeiten folgt",
	textUTF8:         "UTF-8 eingeschaltet",
	textLanguages:    "Liste der Sprachen folgt",
	textLanguage:     "Sprache ist Deutsch",
	textUnknown:      "unbekannter Befehl",
	textSyntax:       "falsche Argumente",
	textTooLong:      "Zeile zu lang",
	textLoginFirst:   "bitte zuerst anmelden",
	textLoggedIn:     "nach der Anmeldung nicht erlaubt",
	textUserFirst:    "vor PASS kommt USER",
	textNoMessage:    "keine solche Nachricht",
	textNoLanguage:   "keine solche Sprache",
	textDenied:       "Benutzername oder Passwort ist falsch",
	textInUse:        "eine andere Sitzung hat das Postfach geöffnet",
	textTooSoon:      "zwischen Anmeldungen # Sekunden warten",
	textTemporary:    "vorübergehender Fehler des Servers, bitte später versuchen",
	textGone:         "die Nachricht ist nicht lesbar",
	textNotUpdated:   "gelöschte Nachrichten wurden nicht entfernt",
	textShutdown:     "der Server wird beendet",
	textDismissed:    "die Sitzung wurde vom Betreiber beendet, bitte später versuchen",

	textMechanisms:    "Verfahren folgen",
	textNoMechanism:   "kein solches Verfahren",
	textNeedTLS:       "Passwörter werden hier nicht im Klartext angenommen: bitte zuerst STLS",
	textNotBase64:     "die Antwort ist kein Base64",
	textBadResponse:   "die Antwort verletzt die Regeln des Verfahrens",
	textCancelled:     "Anmeldung abgebrochen",
	textTooManyFailed: "zu viele fehlgeschlagene Anmeldungen aus diesem Netz, bitte später versuchen",
	textTLSReady:      "TLS kann beginnen",
	textTLSOn:         "TLS ist schon aktiv",
	textTLSLater:      "zur Zeit kein TLS",
	textTooEarly:      "Daten nach STLS und vor dem TLS-Handshake empfangen",
	textExpired:       "das Passwort wurde geändert oder das Konto gelöscht, bitte neu anmelden",
}

// say appends a text in the language of the session, its # replaced by numbers.
func (s *Session) say(e *Effects, t text, numbers ...int64) {
	rest := languages[s.lang].texts[t]
	for _, n := range numbers {
		before, after, _ := strings.Cut(rest, "#")
		e.Reply = strconv.AppendInt(append(e.Reply, before...), n, 10)
		rest = after
	}
	e.Reply = append(e.Reply, rest...)
}

// langCommand lists the languages or chooses one (RFC 6856 section 3.2).
func (s *Session) langCommand(c pop3.Command, e *Effects) {
	if len(c.Tag) == 0 {
		s.ok(e, textLanguages)
		for _, l := range languages {
			e.Reply = append(append(e.Reply, l.tag...), ' ')
			e.Reply = append(append(e.Reply, l.name...), "\r\n"...)
		}
		e.Reply = append(e.Reply, pop3.Terminator...)
		return
	}
	lang, ok := lookup(c.Tag)
	if !ok {
		s.refuse(e, pop3.NoCode, textNoLanguage)
		return
	}
	s.lang = lang
	e.Reply = e.ok()
	e.Reply = append(append(e.Reply, languages[lang].tag...), ' ')
	s.say(e, textLanguage)
	e.Reply = append(e.Reply, "\r\n"...)
}

// lookup finds the language for a range: the tag itself, or what is left of it
// when subtags are taken from its end (RFC 4647 section 3.4). "*" is ours to choose.
func lookup(tag []byte) (language, bool) {
	if string(tag) == "*" {
		return iDefault, true
	}
	for len(tag) > 0 {
		for l := range languages {
			if bytes.EqualFold(tag, []byte(languages[l].tag)) {
				return language(l), true
			}
		}
		tag = tag[:max(0, bytes.LastIndexByte(tag, '-'))]
	}
	return iDefault, false
}
