package payments

import (
	"context"
	"slices"
	"time"

	"github.com/dealpay/dealpay/payments/ledger"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// post writes what moved between the two pictures of a change into the ledger, in the transaction that keeps the later
// one. fresh are the facts that made the difference.
func (c change) post(ctx context.Context, tx *tenants.Tx, fresh []finding) error {
	moved := ledger.Post(c.in.Currency, c.before, c.after)
	if len(moved) == 0 {
		return nil
	}
	me, err := tx.Me(ctx)
	if err != nil {
		return err
	}
	p := posting{invoice: &c.in.ID, deal: c.in.DealID, day: me.Settings.Day(c.now), by: c.by, now: c.now}
	for _, t := range moved {
		p.ref = ""
		for _, f := range fresh {
			if slices.Contains(behind[t.Kind], f.Kind) {
				p.ref = f.Ref
			}
		}
		p.add(t)
	}
	p.write(tx)
	return nil
}

// behind says which fact a person's transaction refers to.
var behind = map[ledger.Kind][]state.FactKind{
	ledger.Manual:         {state.Received},
	ledger.ManualReversed: {state.Reversed},
	ledger.Refund:         {state.RefundTotal},
	ledger.RefundOutside:  {state.GivenBack, state.GivenBackUndone},
	ledger.ChargebackLost: {state.DisputeLost},
	ledger.Moved:          {state.MovedOut, state.MovedIn, state.MoveUndone},
	ledger.NotOurs:        {state.Resolved, state.Unresolved},
	ledger.WriteOff:       {state.Resolved, state.Unresolved},
}

// posting gathers transactions that are written together.
type posting struct {
	invoice *uuid.UUID
	deal    string
	ref     string
	day     time.Time // what it belongs to; a locked month gives way to the first open one
	by      tenants.Actor
	now     time.Time

	txns                 []uuid.UUID
	lines                []int32
	invoices             []*uuid.UUID
	attempts             []*string
	deals, refs, kinds   []string
	accounts, currencies []string
	minors               []int64
	days                 []time.Time
}

// add appends a transaction. Its acquirer's account is that of the attempt, unless it is named.
func (p *posting) add(t ledger.Transaction) {
	txn := tenants.NewUUID()
	var attempt *string
	if t.Attempt != "" {
		attempt = &t.Attempt
	}
	for i, e := range t.Entries {
		p.txns, p.lines = append(p.txns, txn), append(p.lines, int32(i+1))
		p.invoices, p.attempts = append(p.invoices, p.invoice), append(p.attempts, attempt)
		p.deals, p.refs, p.kinds = append(p.deals, p.deal), append(p.refs, p.ref), append(p.kinds, string(t.Kind))
		p.accounts, p.currencies = append(p.accounts, string(e.Account)), append(p.currencies, e.Amount.Currency)
		p.minors, p.days = append(p.minors, e.Amount.Minor), append(p.days, p.day)
	}
}

func (p *posting) write(tx *tenants.Tx) {
	if len(p.txns) == 0 {
		return
	}
	tx.Later(`INSERT INTO ledger_entries (tenant_id, txn, line, at, day, invoice_id, deal_id, attempt_id, kind, account, currency, minor, ref, actor)
		SELECT $1, e.txn, e.line, $2, greatest(e.day, (SELECT max(month) + interval '1 month' FROM periods)::date), e.invoice, e.deal, e.attempt, e.kind,
			CASE WHEN e.account = 'acquirer' THEN 'acquirer:' || a.acquirer ELSE e.account END, e.currency, e.minor, e.ref, $3
		FROM unnest($4::uuid[], $5::int[], $6::date[], $7::uuid[], $8::text[], $9::uuid[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[])
			WITH ORDINALITY AS e(txn, line, day, invoice, deal, attempt, kind, account, currency, minor, ref, n)
			LEFT JOIN attempts a ON a.id = e.attempt
		ORDER BY e.n`, tx.Tenant().String(), p.now, string(p.by), p.txns, p.lines, p.days, p.invoices, p.deals, p.attempts, p.kinds, p.accounts,
		p.currencies, p.minors, p.refs)
}

// Balance is what one account holds. Debits are positive; see [ledger] for what the accounts mean.
type Balance struct {
	Account  ledger.Account `db:"account"`
	Currency string         `db:"currency"`
	Minor    int64          `db:"minor"`
}

// Part chooses entries of the ledger: of an invoice, of a deal, of an attempt, or, with everything empty, all of the tenant's.
type Part struct {
	Invoice uuid.UUID
	Deal    string
	Attempt uuid.UUID
}

// Balances adds up a part of the ledger by account and currency; accounts that hold nothing are left out.
func Balances(ctx context.Context, tx *tenants.Tx, of Part) ([]Balance, error) {
	none := uuid.UUID{}
	return tenants.Rows[Balance](ctx, tx, `SELECT account, currency, sum(minor)::bigint AS minor FROM ledger_entries
		WHERE ($1::uuid = $4::uuid OR invoice_id = $1) AND ($2 = '' OR deal_id = $2) AND ($3::uuid = $4 OR attempt_id = $3)
		GROUP BY account, currency HAVING sum(minor) <> 0 ORDER BY account, currency`, of.Invoice, of.Deal, of.Attempt, none)
}

// Period is a month that was closed.
type Period struct {
	Month    time.Time     `db:"month"`
	LockedAt time.Time     `db:"locked_at"`
	LockedBy tenants.Actor `db:"locked_by"`
}

// Periods lists the months that were closed, the newest first.
func Periods(ctx context.Context, tx *tenants.Tx) ([]Period, error) {
	return tenants.Rows[Period](ctx, tx, `SELECT month, locked_at, locked_by FROM periods ORDER BY month DESC`)
}

// settleTime is how long after a month's end it can be closed: what began within it has ended by then.
const settleTime = time.Hour

// Lock closes a month, given by its first day, and all months before it: what is learnt or imported later is posted to the
// first open month. Locking again returns the first lock. Errors: ErrRole, Invalid.
func (s *Service) Lock(ctx context.Context, id tenants.ID, by By, month time.Time) (Period, error) {
	if !by.Role.Allows(tenants.Accountant) {
		return Period{}, ErrRole
	}
	var p Period
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		me, err := tx.Me(ctx)
		if err != nil {
			return err
		}
		if me.Settings.Day(s.Now().Add(-settleTime)).Before(month.AddDate(0, 1, 0)) {
			return invalid("month_not_over", "The month %s has not ended yet.", month.Format("2006-01"))
		}
		if err := alone(ctx, tx); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `INSERT INTO periods (tenant_id, month, locked_at, locked_by) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			tx.Tenant().String(), month, s.Now(), string(by.Actor))
		if err == nil && tag.RowsAffected() == 1 {
			err = tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "period.locked"}, map[string]string{"month": month.Format("2006-01")})
		}
		if err != nil {
			return err
		}
		p, err = tenants.Row[Period](ctx, tx, `SELECT month, locked_at, locked_by FROM periods WHERE month = $1`, month)
		return err
	})
	return p, err
}

// alone keeps others of the tenant from closing months or importing registers until the transaction ends: neither sees
// half of the other.
func alone(ctx context.Context, tx *tenants.Tx) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('books ' || $1, 0))`, tx.Tenant().String())
	return err
}
