package payments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// bookOrphan accounts for money that names no attempt of ours: whatever the acquirer says of it beyond what the ledger
// holds already is posted against [ledger.Unmatched]. The exception opens with the money, once, and ends when all of it
// went back.
func (s *Service) bookOrphan(ctx context.Context, tx *tenants.Tx, conn Connection, e Exception, number string, seen Observation) error {
	if err := lockOrphan(ctx, tx, e.Key); err != nil {
		return err
	}
	holder := ledger.AcquirerOf(conn.Acquirer)
	var captured, refunded int64
	if err := tx.QueryRow(ctx, `SELECT coalesce(sum(minor) FILTER (WHERE kind = 'capture'), 0)::bigint, coalesce(-sum(minor) FILTER (WHERE kind = 'refund'), 0)::bigint
		FROM ledger_entries WHERE attempt_id IS NULL AND account = $1 AND ref = $2 AND kind IN ('capture', 'refund')`,
		string(holder), e.Key).Scan(&captured, &refunded); err != nil {
		return fmt.Errorf("read orphan: %w", err)
	}
	me, err := tx.Me(ctx)
	if err != nil {
		return err
	}
	p := posting{invoice: e.InvoiceID, deal: e.DealID, day: me.Settings.Day(s.Now()), by: tenants.Acquirer, now: s.Now(), ref: e.Key}
	more := Money{Minor: seen.Captured.Minor - captured, Currency: ledger.Code(seen.Captured.Currency)}
	back := Money{Minor: seen.Refunded.Minor - refunded, Currency: more.Currency}
	p.add(ledger.Move(ledger.Capture, "", more, holder, ledger.Unmatched))
	p.add(ledger.Move(ledger.Refund, "", back, ledger.CustomerRefunds, holder))
	p.write(tx)
	counts, err := s.orphanSpent(ctx, tx, e.Key)
	if err != nil {
		return err
	}
	switch {
	case back.Minor > 0 && counts: // the bank gave back what was moved to an invoice, or given back by hand
		return Raise(ctx, tx, e, number)
	case seen.Refunded.Minor >= seen.Captured.Minor:
		return Settle(ctx, tx, e.Key, tenants.Acquirer, "refunded", s.Now())
	case more.Minor > 0:
		return Raise(ctx, tx, e, number)
	}
	return nil
}

func lockOrphan(ctx context.Context, tx *tenants.Tx, key string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1 || $2, 0))`, tx.Tenant().String(), key)
	if err != nil {
		err = fmt.Errorf("lock orphan: %w", err)
	}
	return err
}

// orphanSpent says whether an orphan's money was moved to an invoice, or given back by transfer or cash.
func (s *Service) orphanSpent(ctx context.Context, tx *tenants.Tx, key string) (bool, error) {
	var minor int64
	err := tx.QueryRow(ctx, `SELECT coalesce(sum(minor), 0)::bigint FROM ledger_entries WHERE kind IN ('moved', 'refund_outside') AND account = 'unmatched' AND ref = $1`, key).Scan(&minor)
	return minor > 0, err
}

// moveOrphan lets money without an attempt count for the invoice that it is for. Errors: Invalid, ErrState.
func (s *Service) moveOrphan(ctx context.Context, tx *tenants.Tx, by By, e Exception, c Choice) error {
	to, err := target(ctx, tx, cmp.Or(c.Invoice, c.Reference))
	if errors.Is(err, ErrNotFound) {
		return invalid("invoice_unknown", "Name the number of the invoice that the money is for.")
	}
	if err != nil {
		return err
	}
	if to, err = lock(ctx, tx, to.ID); err != nil {
		return err
	}
	if err := lockOrphan(ctx, tx, e.Key); err != nil {
		return err
	}
	amount, err := orphanLeft(ctx, tx, e)
	if err != nil {
		return err
	}
	if err := accepts(ctx, tx, to, amount); err != nil {
		return err
	}
	if err := s.shiftOrphan(ctx, tx, by, e.Key, amount); err != nil {
		return err
	}
	if err := s.seal(ctx, tx, to); err != nil {
		return err
	}
	return s.record(ctx, tx, to, by.Actor, "payment.moved_here", finding{
		state.Fact{Kind: state.MovedIn, At: s.Now(), Ref: tenants.NewUUID().String(), Amount: amount},
		evidence{Source: "person", Reason: c.Reason, Reference: e.Reference, Orphan: e.Key}})
}

// orphanLeft is what is left of an orphan's money. Error: ErrState when nothing is.
func orphanLeft(ctx context.Context, tx *tenants.Tx, e Exception) (Money, error) {
	amount := Money{Currency: ledger.Code(e.Currency)}
	if err := tx.QueryRow(ctx, `SELECT coalesce(sum(CASE WHEN account = 'unmatched' THEN -minor ELSE minor END), 0)::bigint FROM ledger_entries
		WHERE attempt_id IS NULL AND ref = $1 AND currency = $2 AND (account = 'unmatched' OR (kind = 'refund' AND account LIKE 'acquirer:%'))`,
		e.Key, amount.Currency).Scan(&amount.Minor); err != nil {
		return amount, fmt.Errorf("read orphan: %w", err)
	}
	if amount.Minor <= 0 {
		return amount, fmt.Errorf("%w: nothing of it is left", ErrState)
	}
	return amount, nil
}

// returnOutside notes that an orphan's money went back by transfer or cash: nobody looks for its owner any more.
// Errors: Invalid, ErrState.
func (s *Service) returnOutside(ctx context.Context, tx *tenants.Tx, by By, e Exception, c Choice) error {
	if c.Method != "" && c.Method != ByTransfer && c.Method != ByCash {
		return invalid("method_unknown", "Money that names no payment goes back by transfer or cash.")
	}
	if strings.TrimSpace(c.Reference) == "" {
		return invalid("reference_empty", "Give the number of the transfer or of the cash order.")
	}
	if err := lockOrphan(ctx, tx, e.Key); err != nil {
		return err
	}
	amount, err := orphanLeft(ctx, tx, e)
	if err != nil {
		return err
	}
	me, err := tx.Me(ctx)
	if err != nil {
		return err
	}
	p := posting{invoice: e.InvoiceID, deal: e.DealID, day: me.Settings.Day(s.Now()), by: by.Actor, now: s.Now(), ref: e.Key}
	p.add(ledger.Move(ledger.RefundOutside, "", amount, ledger.Unmatched, ledger.Cash))
	p.write(tx)
	return nil
}

// shiftOrphan posts that an orphan's money, or with a negative amount the money of an invoice, is on its way to the other.
func (s *Service) shiftOrphan(ctx context.Context, tx *tenants.Tx, by By, key string, amount Money) error {
	me, err := tx.Me(ctx)
	if err != nil {
		return err
	}
	p := posting{day: me.Settings.Day(s.Now()), by: by.Actor, now: s.Now(), ref: key}
	p.add(ledger.Move(ledger.Moved, "", amount, ledger.Unmatched, ledger.Transfers))
	p.write(tx)
	return nil
}

// returnOrphan takes back a move of an orphan's money; it needs a person again. Errors: ErrState.
func (s *Service) returnOrphan(ctx context.Context, tx *tenants.Tx, by By, invoice uuid.UUID, ref, reason string) (Invoice, error) {
	to, err := lock(ctx, tx, invoice)
	if err != nil {
		return to, err
	}
	rows, err := factRows(ctx, tx, invoice)
	if err != nil {
		return to, err
	}
	var came factRow
	for _, r := range rows {
		switch {
		case r.Ref == ref && r.Kind == state.MoveUndone:
			return to, ErrState
		case r.Ref == ref && r.Kind == state.MovedIn:
			came = r
		}
	}
	key := came.Evidence.Orphan
	was, err := one(tenants.Row[Exception](ctx, tx, `SELECT `+exceptionColumns+` FROM exceptions WHERE key = $1 ORDER BY opened_at DESC LIMIT 1`, key))
	if err != nil {
		return to, err
	}
	if err := s.shiftOrphan(ctx, tx, by, key, Money{Minor: -came.Minor, Currency: came.Currency}); err != nil {
		return to, err
	}
	if err := s.record(ctx, tx, to, by.Actor, "payment.move_undone", finding{
		state.Fact{Kind: state.MoveUndone, At: s.Now(), Ref: ref}, evidence{Source: "person", Reason: reason}}); err != nil {
		return to, err
	}
	was.OpenedAt = s.Now()
	if err := Raise(ctx, tx, was, ""); err != nil {
		return to, err
	}
	return Get(ctx, tx, invoice)
}
