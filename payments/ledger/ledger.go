// Package ledger turns a change of an invoice's picture into double entry. It is pure: two pictures in, balanced
// transactions out. Each transaction is the difference of what the two pictures hold in some accounts, so whatever way
// facts come in, what was posted adds up to the last picture.
//
// The ledger follows money, not claims: an invoice alone posts nothing, and the credit side of [Receivable] says how
// much of the claims was settled.
package ledger

import (
	"slices"

	"github.com/dealpay/dealpay/payments/state"
)

// Account is where money is, or why. Debits are positive.
type Account string

// The accounts.
const (
	// Acquirer is what the acquirer holds for the merchant: captures in, refunds, chargebacks, fees and payouts out. It is
	// kept for each acquirer by itself, as AcquirerOf names it.
	Acquirer Account = "acquirer"
	// Receivable is credited with money of the invoice's currency, also while it is under review, as the fold counts it
	// in paid. Refunds do not touch it: they add to history and take nothing away.
	Receivable Account = "receivable"
	// Unmatched is credited with money that cannot be set against a claim, whatever a person decides, until it goes back:
	// of another currency than the invoice's, of no attempt of ours, or another merchant's, as a person said.
	Unmatched Account = "unmatched"
	// Transfers is money that a person moved from one invoice to another. Each of the two posts its own side, so over the
	// tenant it holds nothing.
	Transfers Account = "transfers"
	// Cash is money received or given back outside the acquirers, in a till or a bank account: the fact says which.
	Cash Account = "cash"
	// CustomerRefunds is what went back to customers by refunds.
	CustomerRefunds Account = "customer_refunds"
	// Disputes is what acquirers withhold while a dispute is not decided. Card schemes withhold it from the first day;
	// where one does not, the amount stands here as what is at stake.
	Disputes Account = "disputes"
	// Chargebacks is what was lost in disputes.
	Chargebacks Account = "chargebacks"
	// WriteOffs is what a person forgave.
	WriteOffs Account = "write_offs"
	// Fees is what acquirers kept for their service, as their registers say.
	Fees Account = "fees"
	// Bank is what acquirers paid out, as their registers say.
	Bank Account = "bank"
)

// AcquirerOf is the account of one acquirer, such as "acquirer:vpos_am".
func AcquirerOf(key string) Account { return Acquirer + ":" + Account(key) }

// Kind says why money moved.
type Kind string

// The kinds of transactions. Fee and Payout come from registers, the others from facts.
const (
	Capture        Kind = "capture"
	Refund         Kind = "refund"
	RefundOutside  Kind = "refund_outside" // by cash or transfer
	Moved          Kind = "moved"          // to or from another invoice
	Chargeback     Kind = "chargeback"     // a dispute was opened
	ChargebackWon  Kind = "chargeback_won"
	ChargebackLost Kind = "chargeback_lost"
	Manual         Kind = "manual" // received outside, recorded by a person
	ManualReversed Kind = "manual_reversed"
	NotOurs        Kind = "not_ours" // a person said that it is another merchant's
	WriteOff       Kind = "write_off"
	Fee            Kind = "fee"
	Payout         Kind = "payout"
)

// Entry is one line of a transaction.
type Entry struct {
	Account Account
	Amount  state.Money // debits are positive
}

// Transaction is what moved at once. Its entries sum to nothing in each currency, and none of them is nothing.
type Transaction struct {
	Kind    Kind
	Attempt string // empty: of no attempt
	Entries []Entry
}

// Move is a transaction of two entries: amount goes into one account and out of the other. A negative amount goes the
// other way.
func Move(kind Kind, attempt string, amount state.Money, into, out Account) Transaction {
	return Transaction{kind, attempt, move(amount, into, out)}
}

func move(amount state.Money, into, out Account) []Entry {
	if amount.Minor == 0 {
		return nil
	}
	return []Entry{{into, amount}, {out, state.Money{Minor: -amount.Minor, Currency: amount.Currency}}}
}

// Post returns what moved between two pictures of an invoice in this currency, the later one holding all facts of the
// earlier.
func Post(currency string, before, after state.Picture) []Transaction {
	var all []Transaction
	for _, a := range after.Attempts {
		was := taken{currency: currency}
		for _, b := range before.Attempts {
			if b.ID == a.ID {
				was = takenBy(currency, b)
			}
		}
		all = append(all, was.until(takenBy(currency, a))...)
	}
	outside := func(more, less Kind, was, is int64, into, out Account) {
		kind := more
		if is < was {
			kind = less
		}
		all = append(all, Move(kind, "", state.Money{Minor: is - was, Currency: currency}, into, out))
	}
	outside(Manual, ManualReversed, received(currency, before), received(currency, after), Cash, Receivable)
	outside(Moved, Moved, before.MovedIn, after.MovedIn, Transfers, Receivable)
	outside(WriteOff, WriteOff, before.Forgiven, after.Forgiven, WriteOffs, Receivable)
	moved := all[:0]
	for _, t := range all {
		if len(t.Entries) > 0 {
			moved = append(moved, t)
		}
	}
	return moved
}

// received is the money of a picture that came outside: neither an attempt nor another invoice brought it.
func received(currency string, p state.Picture) int64 {
	minor := p.Paid - p.MovedIn
	for _, a := range p.Attempts {
		if a.Status == state.AttemptPaid && !a.NotOurs && a.Captured.Currency == currency {
			minor -= a.Captured.Minor - a.Moved
		}
	}
	return minor
}

// taken is an attempt's money. An attempt holds none until it is paid, as the fold has it.
type taken struct {
	currency string // of the invoice
	state.AttemptPicture
}

func takenBy(currency string, a state.AttemptPicture) taken {
	if a.Status != state.AttemptPaid {
		return taken{currency: currency}
	}
	return taken{currency, a}
}

// until is what an attempt's money did between two pictures.
func (t taken) until(next taken) []Transaction {
	whose := difference(t.all(), t.of(next.NotOurs).all())
	t = t.of(next.NotOurs)
	disputed := Chargeback
	switch {
	case next.Lost > t.Lost:
		disputed = ChargebackLost
	case next.Disputed < t.Disputed:
		disputed = ChargebackWon
	}
	return []Transaction{
		{NotOurs, next.ID, whose},
		{Capture, next.ID, difference(t.capture(), next.capture())},
		{Refund, next.ID, difference(t.refund(), next.refund())},
		{RefundOutside, next.ID, difference(t.given(), next.given())},
		{Moved, next.ID, difference(t.move(), next.move())},
		{disputed, next.ID, difference(t.dispute(), next.dispute())},
	}
}

// money is an amount of what was captured, as the ledger names its currency.
func (t taken) money(minor int64) state.Money {
	return state.Money{Minor: minor, Currency: Code(t.Captured.Currency)}
}

// claim is the account that captured money is credited to.
func (t taken) claim() Account {
	if t.Captured.Currency == t.currency && !t.NotOurs {
		return Receivable
	}
	return Unmatched
}

// gone is the account of money that went back; what was another merchant's is then matched.
func (t taken) gone(account Account) Account {
	if t.NotOurs {
		return Unmatched
	}
	return account
}

// of is the same money, ours or not.
func (t taken) of(notOurs bool) taken {
	t.NotOurs = notOurs
	return t
}

func (t taken) all() []Entry {
	return slices.Concat(t.capture(), t.refund(), t.given(), t.move(), t.dispute())
}

func (t taken) capture() []Entry { return move(t.money(t.Captured.Minor), Acquirer, t.claim()) }

func (t taken) refund() []Entry {
	return move(t.money(t.Refunded-t.Lost-t.Given), t.gone(CustomerRefunds), Acquirer)
}

func (t taken) given() []Entry { return move(t.money(t.Given), t.gone(CustomerRefunds), Cash) }

func (t taken) move() []Entry { return move(t.money(t.Moved), t.claim(), Transfers) }

func (t taken) dispute() []Entry {
	return append(move(t.money(t.Disputed), Disputes, Acquirer), move(t.money(t.Lost), t.gone(Chargebacks), Acquirer)...)
}

// Code is the currency as it stands in the ledger. What an acquirer did not name, or not by a code, is XXX: ISO 4217's
// word for no currency.
func Code(currency string) string {
	if len(currency) != 3 {
		return "XXX"
	}
	for _, r := range currency {
		if r < 'A' || r > 'Z' {
			return "XXX"
		}
	}
	return currency
}

// difference is what must be posted to come from one set of entries to another, in the order they name accounts.
func difference(from, to []Entry) []Entry {
	var all []Entry
	add := func(e Entry, sign int64) {
		for i := range all {
			if all[i].Account == e.Account && all[i].Amount.Currency == e.Amount.Currency {
				all[i].Amount.Minor += sign * e.Amount.Minor
				return
			}
		}
		all = append(all, Entry{e.Account, state.Money{Minor: sign * e.Amount.Minor, Currency: e.Amount.Currency}})
	}
	for _, e := range to {
		add(e, 1)
	}
	for _, e := range from {
		add(e, -1)
	}
	kept := all[:0]
	for _, e := range all {
		if e.Amount.Minor != 0 {
			kept = append(kept, e)
		}
	}
	return kept
}
