package payments

import (
	"context"
	"fmt"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
)

// confirmChargeback records, by a person's word and with the register as evidence, what registers say was charged back of
// an attempt beyond what the ledger holds. It is for acquirers that tell of no disputes: of others the same chargeback
// would come a second time. Errors: Invalid, ErrState (nothing is missing here).
func (s *Service) confirmChargeback(ctx context.Context, tx *tenants.Tx, by By, m Mismatch, reason string) error {
	if m.Kind != ChargebackDiffers || m.AttemptID == nil {
		return invalid("state_unknown", "Only a chargeback can be confirmed.")
	}
	a, err := attempt(ctx, tx, *m.AttemptID)
	if err != nil {
		return err
	}
	if d := s.Providers[a.Acquirer].Describe(); d.Disputes {
		return invalid("chargeback_by_acquirer", "%s tells of chargebacks by itself. Check the invoice again; if it stays unknown there, ask %s.", d.Name, d.Name)
	}
	in, err := lock(ctx, tx, a.InvoiceID)
	if err != nil {
		return err
	}
	ours, err := booked(ctx, tx, a.ID)
	if err != nil {
		return err
	}
	theirs, err := registered(ctx, tx, a, ours)
	if err != nil {
		return err
	}
	missing := theirs.charged - ours.charged
	if missing <= 0 || theirs.captured.Currency != ours.captured.Currency {
		return fmt.Errorf("%w: no chargeback is missing here", ErrState)
	}
	var lines string
	if err := tx.QueryRow(ctx, `SELECT coalesce(string_agg(register_id || '/' || n, ', ' ORDER BY register_id, n), '') FROM register_lines
		WHERE attempt_id = $1 AND kind = 'chargeback'`, a.ID).Scan(&lines); err != nil {
		return fmt.Errorf("read chargebacks: %w", err)
	}
	return s.record(ctx, tx, in, by.Actor, "chargeback.confirmed", finding{
		state.Fact{Kind: state.DisputeLost, At: s.Now(), Attempt: a.ID.String(), Ref: fmt.Sprintf("register %s/%d", m.Run, m.N),
			Amount: Money{Minor: missing, Currency: ours.captured.Currency}},
		evidence{Source: "register", By: by.Actor, Reason: reason, Reference: lines}})
}
