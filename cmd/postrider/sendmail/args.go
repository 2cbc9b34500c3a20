package sendmail

import (
	"errors"
	"fmt"
	"strings"

	"postrider/cmd/postrider/workspace"
	"postrider/cmd/sysexits"
	"postrider/codec/smtp"
)

// mode is what sendmail was called for.
type mode uint8

const (
	modeDeliver mode = iota // -bm: take a message
	modeSMTP                // -bs: speak SMTP
	modeList                // -bp: mailq
	modeVerify              // -bv: where would it go
	modeAliases             // -bi: newaliases
	modeFlush               // -q
	modeHelp
)

// arguments is the command line of sendmail, read.
type arguments struct {
	mode       mode
	target     workspace.Target
	fromHeader bool    // -t
	wholeInput bool    // -i: a "." alone is text
	sender     *string // -f; nil: not said
	fullName   string
	notify     smtp.Notify
	ret        smtp.Ret
	envID      string // xtext
	verbose    bool
	flushID    string // -qI
	flushTo    string // -qR
	recipients []string
}

// The options of sendmail: letters
// after one hyphen, several in a row, a value in the same word or the next.
const (
	withValue = "ABCFLNORVXbefhopr" // have a value
	withRest  = "dq"                // have one in the same word, or none
	ignored   = "GUcmnx"            // have none, mean nothing here and do no harm
)

// parse reads the command line. Options may come after recipients; "--" ends them.
func parse(args []string) (*arguments, error) {
	a := new(arguments)
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		var err error
		switch {
		case word == "--":
			a.recipients = append(a.recipients, args...)
			return a, nil
		case strings.HasPrefix(word, "--"):
			args, err = a.long(word, args)
		case len(word) > 1 && word[0] == '-':
			args, err = a.letters(word[1:], args)
		default:
			a.recipients = append(a.recipients, word)
		}
		if err != nil {
			return nil, sysexits.Usage.With(fmt.Errorf("%w (see \"postrider sendmail --help\")", err))
		}
	}
	return a, nil
}

// long reads the options that all our commands have.
func (a *arguments) long(word string, args []string) ([]string, error) {
	name, value, has := strings.Cut(word, "=")
	if name == "--help" {
		a.mode = modeHelp
		return args, nil
	}
	to := map[string]*string{"--config": &a.target.File, "--data": &a.target.Data}[name]
	if to == nil {
		return nil, fmt.Errorf("unknown option %s", name)
	}
	if !has {
		if len(args) == 0 {
			return nil, fmt.Errorf("%s needs a value", name)
		}
		value, args = args[0], args[1:]
	}
	*to = value
	return args, nil
}

// letters reads the options of one word.
func (a *arguments) letters(word string, args []string) ([]string, error) {
	for i := range len(word) {
		letter, value := word[i], ""
		switch rest := word[i+1:]; {
		case strings.IndexByte(withRest, letter) >= 0, strings.IndexByte(withValue, letter) >= 0 && rest != "":
			value = rest
		case strings.IndexByte(withValue, letter) < 0:
			if err := a.flag(letter); err != nil {
				return nil, err
			}
			continue
		case len(args) == 0:
			return nil, fmt.Errorf("-%c needs a value", letter)
		default:
			value, args = args[0], args[1:]
		}
		return args, a.valued(letter, value)
	}
	return args, nil
}

// flag takes an option without a value.
func (a *arguments) flag(letter byte) error {
	switch {
	case letter == 't':
		a.fromHeader = true
	case letter == 'i':
		a.wholeInput = true
	case letter == 'v':
		a.verbose = true
	case letter == 'I':
		a.mode = modeAliases
	case strings.IndexByte(ignored, letter) < 0:
		return fmt.Errorf("unknown option -%c", letter)
	}
	return nil
}

// valued takes an option with its value.
func (a *arguments) valued(letter byte, value string) (err error) {
	switch letter {
	case 'f', 'r':
		path := strings.TrimSuffix(strings.TrimPrefix(value, "<"), ">")
		a.sender = &path
	case 'F':
		a.fullName = value
	case 'C':
		a.target.File = value
	case 'N':
		a.notify, err = parseNotify(value)
	case 'R':
		a.ret, err = parseRet(value)
	case 'V':
		a.envID, err = parseEnvID(value)
	case 'b':
		err = a.become(value)
	case 'q':
		err = a.flush(value)
	case 'o':
		a.wholeInput = a.wholeInput || value == "i"
	}
	return err
}

// become takes the mode that -b names.
func (a *arguments) become(name string) error {
	modes := map[string]mode{"m": modeDeliver, "s": modeSMTP, "p": modeList, "v": modeVerify, "i": modeAliases}
	m, ok := modes[name]
	switch {
	case ok:
		a.mode = m
		return nil
	case name == "d" || name == "D":
		return errors.New("-bd: run the server with \"postrider serve\"")
	}
	return fmt.Errorf("unknown option -b%s: expected -bm, -bs, -bp, -bv or -bi", name)
}

// flush takes the value of -q: nothing, or the part of the queue to flush.
func (a *arguments) flush(what string) error {
	a.mode = modeFlush
	kind, value := byte(0), ""
	if what != "" {
		kind, value = what[0], what[1:]
	}
	switch {
	case what == "":
	case kind == 'I' && value != "":
		a.flushID = value
	case kind == 'R' && value != "":
		a.flushTo = value
	case '0' <= kind && kind <= '9':
		return fmt.Errorf("-q%s: the queue runs by itself; relay.retry in the configuration has the intervals", what)
	default:
		return fmt.Errorf("unknown option -q%s: expected -q, -qI and an id, or -qR and a domain", what)
	}
	return nil
}

// The values of -N, -R and -V are parameters of RFC 3461, and are parsed as such.
func parseNotify(value string) (smtp.Notify, error) {
	args, refused := smtp.ParseRcpt([]byte("TO:<a@b> NOTIFY="+value), smtp.ExtDSN, false)
	if refused != nil || args.Notify == 0 {
		return 0, fmt.Errorf("-N %s: expected never, or a list of success, failure and delay", value)
	}
	return args.Notify, nil
}

func parseRet(value string) (smtp.Ret, error) {
	args, refused := smtp.ParseMail([]byte("FROM:<> RET="+value), smtp.ExtDSN)
	if refused != nil || args.Ret == smtp.RetUnsaid {
		return 0, fmt.Errorf("-R %s: expected full or hdrs", value)
	}
	return args.Ret, nil
}

func parseEnvID(value string) (string, error) {
	coded := smtp.AppendXtext(nil, []byte(value))
	if _, refused := smtp.ParseMail(append([]byte("FROM:<> ENVID="), coded...), smtp.ExtDSN); refused != nil {
		return "", fmt.Errorf("-V %s: expected 1 to 100 octets", value)
	}
	return string(coded), nil
}
