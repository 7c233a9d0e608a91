// Package state is the one place where the state of money is decided. It is pure: facts in, picture out. The
// same set of facts gives the same picture in whatever order they came and however often.
package state

import (
	"cmp"
	"slices"
	"time"
)

// Status is what people see of an invoice.
type Status string

// The statuses of an invoice.
const (
	AwaitingPayment   Status = "awaiting_payment"
	Paid              Status = "paid"
	PaymentFailed     Status = "payment_failed"
	Expired           Status = "expired"
	Cancelled         Status = "cancelled"
	ManualReview      Status = "manual_review"
	PartiallyRefunded Status = "partially_refunded"
	Refunded          Status = "refunded"
	Disputed          Status = "disputed"
)

// Statuses lists all of them.
var Statuses = []Status{AwaitingPayment, Paid, PaymentFailed, Expired, Cancelled, ManualReview, PartiallyRefunded, Refunded, Disputed}

// FactKind says what a fact is about.
type FactKind string

// The kinds of facts, with the fields of Fact that each uses beside At.
const (
	Started       FactKind = "started"        // Attempt, Seq, Amount (what the acquirer was asked to take)
	Observed      FactKind = "observed"       // Attempt, Status; with paid: Amount (captured), Foreign
	RefundTotal   FactKind = "refund_total"   // Attempt, Amount (all that went back so far, with what failed later)
	RefundFailed  FactKind = "refund_failed"  // Attempt, Ref (of the refund), Amount: it stands in the total and came to nothing
	DisputeOpened FactKind = "dispute_opened" // Attempt, Ref (of the dispute), Amount
	DisputeWon    FactKind = "dispute_won"    // Attempt, Ref
	DisputeLost   FactKind = "dispute_lost"   // Attempt, Ref, Amount
	TimeOver      FactKind = "time_over"      // the link's time ended unpaid
	Withdrawn     FactKind = "withdrawn"      // a person cancelled the invoice
	Received      FactKind = "received"       // Ref (of the manual payment), Amount
	Reversed      FactKind = "reversed"       // Ref (of the manual payment it undoes)
	Resolved      FactKind = "resolved"       // Attempt, Ref (of the decision), Decision
	Unresolved    FactKind = "unresolved"     // Attempt, Ref (of the decision that it takes back)
	GivenBack     FactKind = "given_back"     // Attempt, Ref (of the refund), Amount: by transfer or cash, past the acquirer
	// GivenBackUndone is Attempt, Ref (of the refund recorded by hand that it takes back).
	GivenBackUndone FactKind = "given_back_undone"
	MovedOut        FactKind = "moved_out"   // Attempt, Ref (of the move), Amount: it counts for another invoice now
	MovedIn         FactKind = "moved_in"    // Ref (of the move), Amount: it came from another invoice
	MoveUndone      FactKind = "move_undone" // Ref (of the move)
)

// Decision is what a person chose for money under review.
type Decision string

// The decisions. Refunding needs no decision of its own: the review ends when the money went back.
const (
	Accept   Decision = "accept"    // it counts for what it is
	NotOurs  Decision = "not_ours"  // it is another merchant's, and counts for nothing
	WriteOff Decision = "write_off" // it counts, and what is missing is forgiven
)

// Fact is one thing known about an invoice. Which evidence it rests on is kept beside it.
type Fact struct {
	Kind     FactKind
	At       time.Time // when it was verified, or decided
	Attempt  string
	Seq      int // of Started: the attempt's number within its invoice, from 1
	Status   AttemptStatus
	Amount   Money
	Foreign  bool // the acquirer named another merchant or order than ours
	Ref      string
	Decision Decision
}

// ReviewKind says why money needs a person.
type ReviewKind string

// The kinds of reviews. An orphan (money without an invoice) is no state of an invoice and is kept elsewhere.
const (
	WrongAmount     ReviewKind = "wrong_amount"
	WrongCurrency   ReviewKind = "wrong_currency"
	WrongMerchant   ReviewKind = "wrong_merchant"
	SecondPayment   ReviewKind = "second_payment"
	PaidAfterCancel ReviewKind = "paid_after_cancel"
	PaidAfterExpiry ReviewKind = "paid_after_expiry"
	// RefundAfterMove is money that the acquirer gave back after it had been moved to another invoice.
	RefundAfterMove ReviewKind = "refund_after_move"
)

// Review is money of one attempt that waits for a person.
type Review struct {
	Kind     ReviewKind
	Attempt  string
	Received Money
}

// AttemptPicture is what the facts say of one attempt.
type AttemptPicture struct {
	ID       string
	Seq      int
	Status   AttemptStatus
	Asked    Money
	Captured Money // zero until paid
	Refunded int64 // minor units of Captured's currency, chargebacks included
	Failed   int64 // refunds that came to nothing after all; not in Refunded
	Lost     int64 // of it: disputes that were lost
	Disputed int64 // what disputes that are not decided yet are about, minor units of Captured's currency
	Given    int64 // of Refunded: by transfer or cash, past the acquirer
	Moved    int64 // of Captured: counts for another invoice
	NotOurs  bool  // a person said that it is another merchant's: none of it counts
	Voided   bool  // the acquirer undid the whole payment after it had taken it
	PaidAt   time.Time

	undone     bool // seen as cancelled, whatever else
	foreign    bool
	decision   Decision
	refundedAt time.Time
}

// Picture is the state of an invoice. Amounts are minor units of the invoice's currency.
type Picture struct {
	Status      Status
	Paid        int64 // all money received in the invoice's currency, also while under review
	Refunded    int64 // all that went back
	Outstanding int64 // what is still to be paid; never negative
	Forgiven    int64 // what a person wrote off
	PaidAt      time.Time
	RefundedAt  time.Time
	PaidBy      string // the attempt of the newest payment, empty when it was received outside
	Attempts    []AttemptPicture
	Reviews     []Review // open ones, by attempt
	Authorized  bool     // an attempt holds money that is not captured
	Disputes    []DisputePicture
	MovedIn     int64 // of Paid: came from other invoices
}

type tally struct {
	amount    Money
	attempts  map[string]*AttemptPicture
	back      map[returned]int64
	failed    map[dispute]Money // by attempt and refund
	received  map[string]Fact
	reversed  map[string]bool
	opened    map[dispute]Money
	closed    map[dispute]bool
	lost      map[dispute]Money
	given     map[dispute]Fact // by attempt and refund
	regained  map[dispute]bool // of those: what was taken back
	moves     map[string]move
	arrived   map[string]time.Time // when a move was made, on the invoice it came to
	undone    map[string]bool
	decided   map[dispute]Decision // by attempt and decision
	recalled  map[dispute]bool     // decisions that were taken back
	withdrawn bool
	over      time.Time // zero when the link's time is not over
}

// returned and dispute are keys: facts that name another attempt or currency are about other money.
type (
	returned struct{ attempt, currency string }
	dispute  struct{ attempt, ref string }
)

func newTally(amount Money) *tally {
	return &tally{amount: amount, attempts: map[string]*AttemptPicture{}, back: map[returned]int64{}, failed: map[dispute]Money{},
		received: map[string]Fact{}, reversed: map[string]bool{}, opened: map[dispute]Money{},
		closed: map[dispute]bool{}, lost: map[dispute]Money{}, given: map[dispute]Fact{}, regained: map[dispute]bool{}, moves: map[string]move{},
		arrived: map[string]time.Time{}, undone: map[string]bool{}, decided: map[dispute]Decision{}, recalled: map[dispute]bool{}}
}

// Fold returns the picture of an invoice of this amount after these facts.
func Fold(amount Money, facts []Fact) Picture {
	t := newTally(amount)
	for _, f := range facts {
		t.add(f)
	}
	for id, a := range t.attempts {
		a.Refunded = t.back[returned{id, a.Captured.Currency}]
	}
	for d, m := range t.failed {
		if a := t.attempts[d.attempt]; a.Captured.Currency == m.Currency {
			a.Failed += m.Minor
		}
	}
	for _, a := range t.attempts {
		a.Refunded = max(0, a.Refunded-a.Failed)
	}
	for d, m := range t.lost {
		if a := t.attempts[d.attempt]; a.Captured.Currency == m.Currency {
			a.Refunded += m.Minor
			a.Lost += m.Minor
		}
	}
	for d, m := range t.opened {
		if a := t.attempts[d.attempt]; a != nil && !t.closed[d] && a.Captured.Currency == m.Currency {
			a.Disputed += m.Minor
		}
	}
	t.beside()
	return t.picture()
}

func (t *tally) attempt(id string) *AttemptPicture {
	a := t.attempts[id]
	if a == nil {
		a = &AttemptPicture{ID: id, Status: Created}
		t.attempts[id] = a
	}
	return a
}

func (t *tally) add(f Fact) {
	switch f.Kind {
	case Started:
		a := t.attempt(f.Attempt)
		a.Seq, a.Asked = max(a.Seq, f.Seq), larger(a.Asked, f.Amount)
	case Observed:
		t.observe(f)
	case RefundTotal:
		a := t.attempt(f.Attempt)
		key := returned{f.Attempt, f.Amount.Currency}
		t.back[key] = max(t.back[key], f.Amount.Minor)
		a.refundedAt = later(a.refundedAt, f.At)
	case RefundFailed:
		key := dispute{f.Attempt, f.Ref}
		t.failed[key] = larger(t.failed[key], f.Amount)
		t.attempt(f.Attempt)
	case DisputeOpened:
		key := dispute{f.Attempt, f.Ref}
		t.opened[key] = larger(t.opened[key], f.Amount)
	case DisputeWon:
		t.closed[dispute{f.Attempt, f.Ref}] = true
	case DisputeLost:
		key := dispute{f.Attempt, f.Ref}
		t.closed[key] = true
		t.lost[key] = larger(t.lost[key], f.Amount)
		a := t.attempt(f.Attempt)
		a.refundedAt = later(a.refundedAt, f.At)
	case TimeOver:
		t.over = earlier(t.over, f.At)
	case Withdrawn:
		t.withdrawn = true
	case Received:
		known := t.received[f.Ref]
		t.received[f.Ref] = Fact{At: earlier(known.At, f.At), Amount: larger(known.Amount, f.Amount)}
	case Reversed:
		t.reversed[f.Ref] = true
	case Resolved:
		key := dispute{f.Attempt, f.Ref}
		t.decided[key] = max(t.decided[key], f.Decision)
		t.attempt(f.Attempt)
	case Unresolved:
		t.recalled[dispute{f.Attempt, f.Ref}] = true
	case GivenBack, GivenBackUndone, MovedOut, MovedIn, MoveUndone:
		t.addByHand(f)
	}
}

func (t *tally) observe(f Fact) {
	a := t.attempt(f.Attempt)
	a.Status = a.Status.Join(f.Status)
	a.undone = a.undone || f.Status == AttemptCancelled
	if f.Status != AttemptPaid {
		return
	}
	a.Captured = larger(a.Captured, f.Amount)
	a.PaidAt = earlier(a.PaidAt, f.At)
	a.foreign = a.foreign || f.Foreign
}

func (t *tally) picture() Picture {
	var p Picture
	for _, a := range t.attempts {
		p.Attempts = append(p.Attempts, *a)
	}
	slices.SortFunc(p.Attempts, func(a, b AttemptPicture) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.ID, b.ID))
	})
	counted, countedBack, forgiven := t.count(&p)
	covered := forgiven || counted >= t.amount.Minor
	if forgiven {
		p.Forgiven = max(0, t.amount.Minor-counted)
	}
	p.Disputes = t.disputes()
	p.Status = t.status(p, counted, countedBack, covered)
	// A withdrawn invoice is owed by nobody, whatever came of money that arrived for it; one whose money all went
	// back takes no other, so it owes nothing either.
	if !covered && !t.withdrawn && p.Status != Refunded {
		p.Outstanding = t.amount.Minor - counted
	}
	return p
}

// count adds up the money and finds what needs a person. It returns what counts towards the amount and how much
// of that went back.
func (t *tally) count(p *Picture) (counted, back int64, forgiven bool) {
	for ref, f := range t.received {
		if t.reversed[ref] || f.Amount.Currency != t.amount.Currency {
			continue
		}
		counted += f.Amount.Minor
		p.Paid += f.Amount.Minor
		if f.At.After(p.PaidAt) {
			p.PaidAt, p.PaidBy = f.At, ""
		}
	}
	counted += t.movedIn(p)
	for _, a := range byPayment(p.Attempts) {
		p.Authorized = p.Authorized || a.Status == Authorized
		if a.Status != AttemptPaid || a.NotOurs {
			continue
		}
		kind, stays := t.review(a, counted), a.Captured.Minor-a.Moved
		home := a.Captured.Currency == t.amount.Currency
		if home {
			p.Paid += stays
			p.Refunded += a.Refunded
		}
		if a.Refunded > 0 {
			p.RefundedAt = later(p.RefundedAt, a.refundedAt)
		}
		if (a.Moved == 0 || stays > 0) && a.PaidAt.After(p.PaidAt) {
			p.PaidAt, p.PaidBy = a.PaidAt, a.ID
		}
		switch {
		case a.Moved > 0 && a.Refunded > stays:
			p.Reviews = append(p.Reviews, Review{Kind: RefundAfterMove, Attempt: a.ID, Received: a.Captured})
		case kind == "" || a.decision != "":
			if home {
				counted += stays
				back += a.Refunded
			}
			// money of another currency that went back forgives nothing
			forgiven = forgiven || (a.decision == WriteOff && (home || a.Refunded < a.Captured.Minor))
		case a.Captured.Minor <= 0 || a.Refunded < stays:
			p.Reviews = append(p.Reviews, Review{Kind: kind, Attempt: a.ID, Received: a.Captured})
		}
	}
	return counted, back, forgiven
}

func byPayment(attempts []AttemptPicture) []AttemptPicture {
	sorted := slices.Clone(attempts)
	slices.SortStableFunc(sorted, func(a, b AttemptPicture) int { return a.PaidAt.Compare(b.PaidAt) })
	return sorted
}

// review says why the captured money of a needs a person; empty when it simply pays. counted is what was paid before.
func (t *tally) review(a AttemptPicture, counted int64) ReviewKind {
	switch {
	case a.foreign:
		return WrongMerchant
	case a.Captured.Currency != t.amount.Currency:
		return WrongCurrency
	case a.Captured != a.Asked:
		return WrongAmount
	case t.withdrawn:
		return PaidAfterCancel
	case counted+a.Captured.Minor > t.amount.Minor:
		return SecondPayment
	case !t.over.IsZero() && !a.PaidAt.Before(t.over):
		return PaidAfterExpiry
	}
	return ""
}

func (t *tally) status(p Picture, counted, back int64, covered bool) Status {
	switch {
	case len(p.Reviews) > 0:
		return ManualReview
	case t.disputed():
		return Disputed
	case counted > 0 && back >= counted, counted == 0 && p.Paid > 0 && p.Refunded >= p.Paid:
		return Refunded
	case back > 0:
		return PartiallyRefunded
	case covered:
		return Paid
	case t.withdrawn:
		return Cancelled
	case !t.over.IsZero():
		return Expired
	case failedLast(p.Attempts):
		return PaymentFailed
	}
	return AwaitingPayment
}

func (t *tally) disputed() bool {
	for d := range t.opened {
		if !t.closed[d] {
			return true
		}
	}
	return false
}

func failedLast(attempts []AttemptPicture) bool {
	for _, a := range attempts {
		if a.Status.Live() {
			return false
		}
	}
	return len(attempts) > 0 && attempts[len(attempts)-1].Status == AttemptFailed
}

func larger(a, b Money) Money {
	if cmp.Or(cmp.Compare(a.Minor, b.Minor), cmp.Compare(a.Currency, b.Currency)) < 0 {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
