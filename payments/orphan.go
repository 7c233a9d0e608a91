package payments

import (
	"context"
	"fmt"

	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/tenants"
)

// bookOrphan accounts for money that names no attempt of ours: whatever the acquirer says of it beyond what the ledger
// holds already is posted against [ledger.Unmatched]. The exception opens with the money, once, and ends when all of it
// went back.
func (s *Service) bookOrphan(ctx context.Context, tx *tenants.Tx, conn Connection, e Exception, number string, seen Observation) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1 || $2, 0))`, tx.Tenant().String(), e.Key); err != nil {
		return fmt.Errorf("lock orphan: %w", err)
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
	if err := p.write(ctx, tx); err != nil {
		return err
	}
	switch {
	case seen.Refunded.Minor >= seen.Captured.Minor:
		return Settle(ctx, tx, e.Key, tenants.Acquirer, "refunded", s.Now())
	case more.Minor > 0:
		return Raise(ctx, tx, e, number)
	}
	return nil
}
