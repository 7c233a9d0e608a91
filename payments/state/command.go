package state

import (
	"errors"
	"fmt"
)

// Command is what a person, or a timer, asks of an invoice. Facts are always taken; commands may be refused.
type Command string

// The commands.
const (
	Pay    Command = "pay"    // open an attempt
	Send   Command = "send"   // give the link to the customer
	Cancel Command = "cancel" // withdraw the invoice
	Expire Command = "expire" // the link's time is over
	Refund Command = "refund" // give money back
	Record Command = "record" // record money received outside
)

// Commands lists them.
var Commands = []Command{Pay, Send, Cancel, Expire, Refund, Record}

// Answer is what the table says of a command.
type Answer string

// The answers.
const (
	Do     Answer = "do"
	Ignore Answer = "ignore" // already so; repeating is harmless
	Refuse Answer = "refuse"
)

// commandTable says, for each status, what becomes of each command, in the order of Commands.
var commandTable = map[Status][6]Answer{
	//                  pay     send    cancel  expire  refund  record
	AwaitingPayment:   {Do, Do, Do, Do, Refuse, Do},
	PaymentFailed:     {Do, Do, Do, Do, Refuse, Do},
	Paid:              {Refuse, Refuse, Refuse, Ignore, Do, Refuse},
	Expired:           {Refuse, Refuse, Do, Ignore, Refuse, Do},
	Cancelled:         {Refuse, Refuse, Ignore, Ignore, Refuse, Refuse},
	ManualReview:      {Refuse, Refuse, Refuse, Ignore, Do, Refuse},
	PartiallyRefunded: {Refuse, Refuse, Refuse, Ignore, Do, Refuse},
	Refunded:          {Refuse, Refuse, Refuse, Ignore, Refuse, Refuse},
	Disputed:          {Refuse, Refuse, Refuse, Ignore, Refuse, Refuse},
}

// ErrRefused is wrapped by what Decide refuses; the status stays what it was.
var ErrRefused = errors.New("state: refused in this status")

// Decide says what becomes of a command on an invoice that looks like p. Money that is held or was received in part
// also stands in the way of cancelling and of time running out.
func Decide(p Picture, c Command) (Answer, error) {
	answer := Refuse
	for i, column := range Commands {
		if column == c {
			answer = commandTable[p.Status][i]
		}
	}
	if answer == Do {
		switch {
		case c == Cancel && (p.Authorized || p.Paid > p.Refunded):
			answer = Refuse
		case c == Expire && p.Authorized:
			answer = Ignore
		}
	}
	if answer != Do && answer != Ignore {
		return Refuse, fmt.Errorf("%w: %s while %s", ErrRefused, c, p.Status)
	}
	return answer, nil
}
