package payments

import (
	"context"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// decided names the decision that a fact makes or takes back. The oldest decisions have no name of their own: there is one
// for each attempt.
func (r factRow) decided() string {
	if r.Ref == "" && r.Attempt != nil {
		return r.Attempt.String()
	}
	return r.Ref
}

// UndoDecision takes back that a review was accepted or written off, by a counter-entry: its money waits for a person again.
// Who may decide so may take it back.
// Errors: ErrNotFound, ErrRole, Invalid, ErrState (it was taken back already, or a refund of the money is under way).
func (s *Service) UndoDecision(ctx context.Context, id tenants.ID, by By, decision uuid.UUID, reason string) (Invoice, error) {
	if !by.Role.Allows(tenants.Manager) {
		return Invoice{}, ErrRole
	}
	if err := because(reason, "Say why the decision is taken back."); err != nil {
		return Invoice{}, err
	}
	var of Invoice
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		of.ID, err = DecidedOn(ctx, tx, decision)
		return err
	})
	if err != nil {
		return of, err
	}
	return s.change(ctx, id, of.ID, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		rows, err := factRows(ctx, tx, in.ID)
		if err != nil {
			return err
		}
		var made factRow
		for _, r := range rows {
			switch {
			case r.decided() != decision.String():
			case r.Kind == state.Resolved:
				made = r
			case r.Kind == state.Unresolved:
				return ErrState
			}
		}
		if !by.Role.Allows(needed(string(made.Decision))) {
			return ErrRole
		}
		if err := s.free(ctx, tx, *made.Attempt); err != nil {
			return err
		}
		return s.record(ctx, tx, in, by.Actor, "review.reopened", finding{
			state.Fact{Kind: state.Unresolved, At: s.Now(), Attempt: made.Attempt.String(), Ref: made.Ref, Decision: made.Decision},
			evidence{Source: "person", Reason: reason}})
	})
}

// DecidedOn finds the invoice of a decision. Error: ErrNotFound.
func DecidedOn(ctx context.Context, tx *tenants.Tx, decision uuid.UUID) (invoice uuid.UUID, err error) {
	_, err = one(struct{}{}, tx.QueryRow(ctx, `SELECT invoice_id FROM facts WHERE kind = 'resolved' AND (ref = $1 OR (ref = '' AND attempt_id = $2)) LIMIT 1`,
		decision.String(), decision).Scan(&invoice))
	return invoice, err
}
