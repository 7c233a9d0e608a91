package payments

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// finding is a fact with what it rests on.
type finding struct {
	state.Fact
	evidence evidence
}

// dedupe is equal for the same fact learnt again.
func (f finding) dedupe() string {
	parts := []string{string(f.Kind), f.Attempt, string(f.Status), f.Ref, string(f.Decision)}
	switch f.Kind {
	case state.Observed, state.RefundTotal, state.DisputeOpened, state.DisputeLost:
		parts = append(parts, f.Amount.String(), fmt.Sprint(f.Foreign))
	}
	return strings.Join(parts, "|")
}

type factRow struct {
	ID       int64               `db:"id"`
	Kind     state.FactKind      `db:"kind"`
	At       time.Time           `db:"at"`
	Attempt  *uuid.UUID          `db:"attempt_id"`
	Seq      int                 `db:"seq"`
	Status   state.AttemptStatus `db:"status"`
	Minor    int64               `db:"minor"`
	Currency string              `db:"currency"`
	Alien    bool                `db:"alien"`
	Ref      string              `db:"ref"`
	Decision state.Decision      `db:"decision"`
	Evidence evidence            `db:"evidence"`
}

func (r factRow) fact() state.Fact {
	f := state.Fact{Kind: r.Kind, At: r.At, Seq: r.Seq, Status: r.Status, Amount: Money{Minor: r.Minor, Currency: r.Currency},
		Foreign: r.Alien, Ref: r.Ref, Decision: r.Decision}
	if r.Attempt != nil {
		f.Attempt = r.Attempt.String()
	}
	return f
}

// picture folds everything known of an invoice.
func picture(ctx context.Context, tx *tenants.Tx, in Invoice) (state.Picture, []state.Fact, error) {
	rows, err := factRows(ctx, tx, in.ID)
	facts := make([]state.Fact, len(rows))
	for i, r := range rows {
		facts[i] = r.fact()
	}
	return state.Fold(in.Amount(), facts), facts, err
}

func factRows(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID) ([]factRow, error) {
	return tenants.Rows[factRow](ctx, tx, `SELECT id, kind, at, attempt_id, seq, status, minor, currency, alien, ref, decision, evidence
		FROM facts WHERE invoice_id = $1 ORDER BY id`, invoice)
}

// record is the only place where facts are added. The caller holds the invoice's lock. It folds all facts, keeps the
// picture, and promises everything that follows: exceptions, notes, the push of the deal. What is known already does
// nothing.
func (s *Service) record(ctx context.Context, tx *tenants.Tx, in Invoice, by tenants.Actor, action string, found ...finding) error {
	before, facts, err := picture(ctx, tx, in)
	if err != nil {
		return err
	}
	var fresh []finding
	for _, f := range found {
		if f.evidence.Source == "person" {
			f.evidence.By = by
		}
		added, err := addFact(ctx, tx, in.ID, f)
		if err != nil {
			return err
		}
		if added {
			fresh, facts = append(fresh, f), append(facts, f.Fact)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	after := state.Fold(in.Amount(), facts)
	s.keep(tx, in, after)
	if err := s.follow(ctx, tx, change{in: in, before: before, after: after, by: by, now: s.Now(), known: len(facts)}, fresh); err != nil {
		return err
	}
	for i, f := range fresh {
		from := before.Status
		if i > 0 {
			from = after.Status
		}
		if err := tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by, Action: named(action, f), DealID: in.DealID, Invoice: &in.ID,
			Before: string(from), After: string(after.Status)}, f.evidence); err != nil {
			return err
		}
	}
	return nil
}

// follow writes and promises what comes of a change: entries of the ledger, notes, exceptions, checkouts to close, an answer to a rule that
// waits for the deal, the push.
func (s *Service) follow(ctx context.Context, tx *tenants.Tx, c change, fresh []finding) error {
	if err := c.post(ctx, tx, fresh); err != nil {
		return err
	}
	if err := c.announce(ctx, tx, fresh); err != nil {
		return err
	}
	if err := c.exceptions(ctx, tx); err != nil {
		return err
	}
	if err := c.failedRefunds(ctx, tx, fresh); err != nil {
		return err
	}
	if c.after.Outstanding == 0 && c.after.Status != state.Cancelled {
		outbox.Drop(tx, outbox.Expire, c.in.ID.String(), s.Now())
	}
	if payable(c.after.Status) && !payable(c.before.Status) { // what paid it was taken back
		outbox.Promise(tx, outbox.Expire, c.in.ExpiresAt, c.in.ID.String())
	}
	if c.after.Outstanding != c.before.Outstanding || c.after.Status != c.before.Status {
		if err := s.closeMoot(ctx, tx, c); err != nil {
			return err
		}
	}
	outbox.Stir(tx, outbox.Robot, c.in.DealID, s.Now())
	outbox.Promise(tx, outbox.Push, s.Now(), c.in.DealID)
	return nil
}

// named is the audit's word for a fact: the caller's, or one made of the fact.
func named(action string, f finding) string {
	switch {
	case action != "":
		return action
	case f.Kind == state.Observed:
		return "attempt." + string(f.Status)
	}
	return "attempt." + string(f.Kind)
}

func addFact(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID, f finding) (bool, error) {
	var attempt *string
	if f.Attempt != "" {
		attempt = &f.Attempt
	}
	tag, err := tx.Exec(ctx, `INSERT INTO facts (tenant_id, invoice_id, kind, at, attempt_id, seq, status, minor, currency, alien, ref, decision, evidence, dedupe)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (tenant_id, invoice_id, dedupe) DO NOTHING`,
		tx.Tenant().String(), invoice, string(f.Kind), f.At, attempt, f.Seq, string(f.Status), f.Amount.Minor, f.Amount.Currency,
		f.Foreign, f.Ref, string(f.Decision), f.evidence, f.dedupe())
	if err != nil {
		return false, fmt.Errorf("add fact: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// keep writes what the fold says into the invoice and its attempts.
func (s *Service) keep(tx *tenants.Tx, in Invoice, p state.Picture) {
	for _, a := range p.Attempts {
		captured := a.Captured.Minor
		if a.Captured.Currency != a.Asked.Currency {
			captured = 0
		}
		tx.Later(`UPDATE attempts SET status = $2, captured = $3, refunded = $4 WHERE id = $1`, a.ID, string(a.Status), captured, a.Refunded)
	}
	var by *string // whose reference the invoice shows; nobody's: as before
	if p.PaidBy != "" {
		by = &p.PaidBy
	}
	tx.Later(`UPDATE invoices SET status = $2, paid = $3, refunded = $4, outstanding = $5, paid_at = $6, refunded_at = $7,
		reference = coalesce((SELECT provider_ref FROM attempts WHERE id = $8), reference), updated_at = $9 WHERE id = $1`,
		in.ID, string(p.Status), p.Paid, p.Refunded, p.Outstanding, orNull(p.PaidAt), orNull(p.RefundedAt), by, s.Now())
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
