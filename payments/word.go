package payments

import (
	"context"
	"slices"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// Word is what of an invoice rests on a person's word, and whether an acquirer's word stands beside it.
type Word struct {
	Manuals   []Manual
	Moves     []Moved
	Decisions []Decided
	Acquirer  bool // an acquirer said that money was taken
	Operator  bool // something of the above, or of a refund made by hand, holds
}

// Manual is a payment recorded by a person.
type Manual struct {
	ID         string
	Method     string
	Amount     Money
	ReceivedAt time.Time
	Reference  string
	Reversed   bool
	Reason     string
	By         tenants.Actor
	At         time.Time // when it was recorded
}

// Moved is money of an invoice that came from another one, or went there.
type Moved struct {
	ID     string // of the move
	Amount Money
	In     bool   // it came here
	Other  string // number of the other invoice
	Undone bool
	Reason string
	By     tenants.Actor
	At     time.Time
}

// Decided is what a person decided about a payment under review.
type Decided struct {
	ID        string
	Decision  state.Decision
	Undone    bool
	Amount    Money // of the payment
	Reason    string
	Reference string
	By        tenants.Actor
	At        time.Time
}

// WordOf gathers what rests on a person's word of an invoice, each in order.
func WordOf(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID) (Word, error) {
	rows, err := factRows(ctx, tx, invoice)
	var w Word
	gone, took := map[string]bool{}, map[uuid.UUID]Money{}
	var given []string // refunds made by hand
	for _, r := range rows {
		amount, e := Money{Minor: r.Minor, Currency: r.Currency}, r.Evidence
		switch r.Kind {
		case state.Observed:
			if r.Status == state.AttemptPaid && r.Attempt != nil {
				w.Acquirer, took[*r.Attempt] = true, amount
			}
		case state.Received:
			m := Manual{ID: r.Ref, Method: e.Method, Amount: amount, Reference: e.Reference, Reason: e.Reason, By: e.By, At: r.At}
			if e.Received != nil {
				m.ReceivedAt = *e.Received
			}
			w.Manuals = append(w.Manuals, m)
		case state.MovedOut, state.MovedIn:
			w.Moves = append(w.Moves, Moved{ID: r.Ref, Amount: amount, In: r.Kind == state.MovedIn, Other: e.Reference, Reason: e.Reason, By: e.By, At: r.At})
		case state.Resolved:
			w.Decisions = append(w.Decisions, Decided{ID: r.decided(), Decision: r.Decision, Reason: e.Reason, Reference: e.Reference, By: e.By, At: r.At})
			if r.Attempt != nil {
				w.Decisions[len(w.Decisions)-1].Amount = took[*r.Attempt]
			}
		case state.Reversed, state.MoveUndone, state.GivenBackUndone:
			gone[r.Ref] = true
		case state.Unresolved:
			gone[r.decided()] = true
		case state.GivenBack:
			given = append(given, r.Ref)
		}
	}
	w.without(gone)
	w.Operator = w.Operator || slices.ContainsFunc(given, func(ref string) bool { return !gone[ref] })
	return w, err
}

// without marks what a counter-entry has undone.
func (w *Word) without(gone map[string]bool) {
	for i := range w.Decisions {
		w.Decisions[i].Undone = gone[w.Decisions[i].ID]
		w.Operator = w.Operator || !w.Decisions[i].Undone
	}
	for i := range w.Manuals {
		w.Manuals[i].Reversed = gone[w.Manuals[i].ID]
		w.Operator = w.Operator || !w.Manuals[i].Reversed
	}
	for i := range w.Moves {
		w.Moves[i].Undone = gone[w.Moves[i].ID]
		w.Operator = w.Operator || !w.Moves[i].Undone
	}
}
