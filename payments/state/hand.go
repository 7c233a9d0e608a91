package state

import (
	"cmp"
	"slices"
)

// DisputePicture is one chargeback of an attempt.
type DisputePicture struct {
	Attempt string
	Ref     string
	Amount  Money
	Status  FactKind // DisputeOpened, DisputeWon or DisputeLost
}

// move is money that was taken for one invoice and counts for another: each of the two knows its own side.
type move struct {
	attempt string // of the invoice it left; empty on the other one
	out, in Money
}

// addByHand adds what only people cause: money given back past the acquirer, and money that moved between invoices.
func (t *tally) addByHand(f Fact) {
	switch f.Kind {
	case GivenBack:
		key := dispute{f.Attempt, f.Ref}
		known := t.given[key]
		t.given[key] = Fact{At: later(known.At, f.At), Amount: larger(known.Amount, f.Amount)}
		t.attempt(f.Attempt)
	case GivenBackUndone:
		t.regained[dispute{f.Attempt, f.Ref}] = true
	case MovedOut:
		t.attempt(f.Attempt)
		m := t.moves[f.Ref]
		m.attempt, m.out = max(m.attempt, f.Attempt), larger(m.out, f.Amount)
		t.moves[f.Ref] = m
	case MovedIn:
		m := t.moves[f.Ref]
		m.in = larger(m.in, f.Amount)
		t.moves[f.Ref] = m
		t.arrived[f.Ref] = earlier(t.arrived[f.Ref], f.At)
	case MoveUndone:
		t.undone[f.Ref] = true
	}
}

// beside adds to the attempts what people did with their money and decided about it, and marks those that the acquirer undid.
func (t *tally) beside() {
	for key, d := range t.decided {
		if a := t.attempts[key.attempt]; !t.recalled[key] {
			a.decision = max(a.decision, d) // a write-off includes an acceptance
		}
	}
	for key, f := range t.given {
		if a := t.attempts[key.attempt]; !t.regained[key] && a.Captured.Currency == f.Amount.Currency {
			a.Refunded += f.Amount.Minor
			a.Given += f.Amount.Minor
			a.refundedAt = later(a.refundedAt, f.At)
		}
	}
	for ref, m := range t.moves {
		if a := t.attempts[m.attempt]; a != nil && !t.undone[ref] && a.Captured.Currency == m.out.Currency {
			a.Moved += m.out.Minor
		}
	}
	for _, a := range t.attempts {
		a.Moved = min(a.Moved, max(a.Captured.Minor, 0))
		a.NotOurs = a.decision == NotOurs
		told := a.Refunded - a.Given - a.Lost
		a.Voided = a.undone && a.Status == AttemptPaid && told >= a.Captured.Minor
	}
}

// movedIn adds the money that came from other invoices, and returns how much it is.
func (t *tally) movedIn(p *Picture) (sum int64) {
	for ref, m := range t.moves {
		if t.undone[ref] || m.in.Currency != t.amount.Currency {
			continue
		}
		sum += m.in.Minor
		if at := t.arrived[ref]; at.After(p.PaidAt) {
			p.PaidAt, p.PaidBy = at, ""
		}
	}
	p.Paid += sum
	p.MovedIn = sum
	return sum
}

// disputes lists the chargebacks. One that was lost stays lost, whatever else is said of it.
func (t *tally) disputes() []DisputePicture {
	all := map[dispute]DisputePicture{}
	for d, m := range t.opened {
		all[d] = DisputePicture{Attempt: d.attempt, Ref: d.ref, Amount: m, Status: DisputeOpened}
	}
	for d := range t.closed {
		p := all[d]
		p.Attempt, p.Ref, p.Status = d.attempt, d.ref, DisputeWon
		all[d] = p
	}
	for d, m := range t.lost {
		all[d] = DisputePicture{Attempt: d.attempt, Ref: d.ref, Amount: larger(all[d].Amount, m), Status: DisputeLost}
	}
	var list []DisputePicture
	for _, p := range all {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b DisputePicture) int {
		return cmp.Or(cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.Ref, b.Ref))
	})
	return list
}
