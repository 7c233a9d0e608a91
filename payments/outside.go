package payments

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// RefundMethod is how money goes back.
type RefundMethod string

// The methods. By transfer or cash is recorded, not done: the merchant did it.
const (
	ByAPI      RefundMethod = "api"
	ByTransfer RefundMethod = "transfer"
	ByCash     RefundMethod = "cash"
)

// possible refuses a refund that cannot be made as asked. By transfer or cash is only recorded where the acquirer cannot
// give the money back by itself, or has refused to: so the same money does not go back on both ways.
func (s *Service) possible(ctx context.Context, tx *tenants.Tx, row Attempt, a state.AttemptPicture, r *RefundRequest) error {
	d, err := s.allowed(ctx, tx, row)
	if err != nil {
		return err
	}
	able := d.Refunds && (d.Partial || r.Amount.Minor == a.Captured.Minor)
	switch r.Method {
	case "", ByAPI:
		r.Method = ByAPI
		if !able {
			return invalid("refund_not_possible", "%s cannot give this back by itself. Give it back by transfer or cash and record that, or refund in its own console.", d.Name)
		}
		return nil
	case ByTransfer, ByCash:
	default:
		return invalid("method_unknown", "Money goes back by api, transfer or cash.")
	}
	if strings.TrimSpace(r.Reference) == "" {
		return invalid("reference_empty", "Give the number of the transfer or of the cash order.")
	}
	if err := referring(r.Reference); err != nil {
		return err
	}
	if err := s.free(ctx, tx, row.ID); err != nil || !able {
		return err
	}
	var refused bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM refunds WHERE attempt_id = $1 AND method = 'api' AND status = 'refused' AND sent_at IS NOT NULL)`,
		row.ID).Scan(&refused)
	if err == nil && !refused {
		err = invalid("refund_by_acquirer", "%s can give this back by itself. Refund through it first.", d.Name)
	}
	return err
}

// refundStart is the status a refund begins in: above the tenant's limit a second person must approve it. The caller holds
// the invoice's lock.
func (s *Service) refundStart(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID, amount Money) (string, error) {
	left, limited, err := s.unseconded(ctx, tx, invoice, amount.Currency)
	if limited && amount.Minor > left {
		return "waiting", err
	}
	return "requested", err
}

// together is how long the refunds of one invoice count as one, so that parts do not get by the limit.
const together = 24 * time.Hour

// unseconded is how much of an invoice may go back without a second person: the tenant's limit, less what anybody asked
// back of it lately and was not refused. limited is false where the tenant set none.
func (s *Service) unseconded(ctx context.Context, tx *tenants.Tx, invoice uuid.UUID, currency string) (left int64, limited bool, err error) {
	me, err := tx.Me(ctx)
	if err != nil {
		return 0, false, err
	}
	limit, limited := me.Settings.Payments.RefundLimits[currency]
	if !limited {
		return 0, false, nil
	}
	var lately int64
	err = tx.QueryRow(ctx, `SELECT coalesce(sum(minor), 0)::bigint FROM refunds WHERE invoice_id = $1 AND currency = $2 AND status NOT IN ('refused', 'undone') AND created_at > $3`,
		invoice, currency, s.Now().Add(-together)).Scan(&lately)
	return max(0, limit-lately), true, err
}

// startRefund does what comes next for a refund: it asks a second person, promises the call, or records what was made
// by hand.
func (s *Service) startRefund(ctx context.Context, tx *tenants.Tx, in Invoice, r refund) error {
	switch {
	case r.Status == "waiting":
		return Raise(ctx, tx, Exception{Kind: RefundApproval, Key: RefundApproval + ":" + r.ID.String(), DealID: in.DealID, InvoiceID: &in.ID,
			AttemptID: &r.AttemptID, Minor: r.Minor, Currency: r.Currency, Reference: in.Reference, OpenedAt: s.Now()}, in.Number)
	case r.Method == ByAPI:
		return outbox.Make(ctx, tx, outbox.Refund, r.ID.String(), s.Now())
	}
	if _, err := tx.Exec(ctx, `UPDATE refunds SET status = 'done', sent_at = $2 WHERE id = $1`, r.ID, s.Now()); err != nil {
		return fmt.Errorf("record refund: %w", err)
	}
	return s.record(ctx, tx, in, r.AskedBy, "refund.recorded", finding{
		state.Fact{Kind: state.GivenBack, At: s.Now(), Attempt: r.AttemptID.String(), Ref: r.ID.String(), Amount: r.amount()},
		evidence{Source: "person", Method: string(r.Method), Reference: r.Reference, Reason: r.Reason}})
}

// UndoRefund takes back a refund recorded by hand, by a counter-entry: its money is with the merchant again.
// Errors: ErrNotFound (also for one that the acquirer made), ErrRole, Invalid, ErrState (it was taken back already).
func (s *Service) UndoRefund(ctx context.Context, id tenants.ID, by By, refund uuid.UUID, reason string) (Invoice, error) {
	if !by.Role.Allows(tenants.Admin) {
		return Invoice{}, ErrRole
	}
	if err := because(reason, "Say why the refund is taken back."); err != nil {
		return Invoice{}, err
	}
	var invoice uuid.UUID
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		invoice, err = GivenBackOn(ctx, tx, refund)
		return err
	})
	if err != nil {
		return Invoice{}, err
	}
	return s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		var attempt uuid.UUID
		_, err := one(struct{}{}, tx.QueryRow(ctx, `UPDATE refunds SET status = 'undone' WHERE id = $1 AND status = 'done' RETURNING attempt_id`, refund).Scan(&attempt))
		if errors.Is(err, ErrNotFound) {
			return ErrState
		}
		if err != nil {
			return err
		}
		return s.record(ctx, tx, in, by.Actor, "refund.undone", finding{
			state.Fact{Kind: state.GivenBackUndone, At: s.Now(), Attempt: attempt.String(), Ref: refund.String()},
			evidence{Source: "person", Reason: reason}})
	})
}

// GivenBackOn finds the invoice of a refund recorded by hand. Error: ErrNotFound.
func GivenBackOn(ctx context.Context, tx *tenants.Tx, refund uuid.UUID) (invoice uuid.UUID, err error) {
	_, err = one(struct{}{}, tx.QueryRow(ctx, `SELECT invoice_id FROM facts WHERE kind = 'given_back' AND ref = $1`, refund.String()).Scan(&invoice))
	return invoice, err
}

// approve carries out a second person's word on a refund above the limit. Errors: Invalid, ErrState.
func (s *Service) approve(ctx context.Context, tx *tenants.Tx, by By, id uuid.UUID, c Choice) error {
	r, err := one(tenants.Row[refund](ctx, tx, `SELECT `+refundColumns+` FROM refunds WHERE id = $1 FOR UPDATE`, id))
	if err != nil {
		return err
	}
	if r.Status != "waiting" {
		return ErrState
	}
	next := "refused"
	if c.Decision == "approve" {
		if same, err := samePerson(ctx, tx, by.Actor, r.AskedBy); err != nil {
			return err
		} else if same {
			return invalid("second_person_needed", "Another administrator than the one who asked must approve this refund.")
		}
		next = "requested"
	}
	in, err := lock(ctx, tx, r.InvoiceID)
	if err != nil {
		return err
	}
	if next == "requested" {
		left, err := stays(ctx, tx, in, r.AttemptID)
		if err != nil {
			return err
		}
		if left.Minor < r.Minor {
			return errors.Join(ErrState, fmt.Errorf("only %s is left", left))
		}
		if _, err := tx.Exec(ctx, `UPDATE refunds SET status = $2, approved_by = $3, approved_at = $4 WHERE id = $1`,
			r.ID, next, string(by.Actor), s.Now()); err != nil {
			return fmt.Errorf("approve refund: %w", err)
		}
	} else if _, err := tx.Exec(ctx, `UPDATE refunds SET status = $2 WHERE id = $1`, r.ID, next); err != nil {
		return fmt.Errorf("reject refund: %w", err)
	}
	if err := Settle(ctx, tx, RefundApproval+":"+r.ID.String(), by.Actor, c.Decision, s.Now()); err != nil {
		return err
	}
	action := map[string]string{"approve": "refund.approved", "reject": "refund.rejected"}[c.Decision]
	if err := tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: action, DealID: in.DealID, Invoice: &in.ID,
		Before: string(in.Status), After: string(in.Status)}, map[string]any{"refund": r.ID, "amount": r.amount(), "reason": c.Reason}); err != nil || next == "refused" {
		return err
	}
	r.Status = next
	return s.startRefund(ctx, tx, in, r)
}

// samePerson says whether one person stands behind two actors: a key that somebody made speaks for whoever made it, and for
// whoever made the key that made it, so that nobody approves their own refund by a key.
func samePerson(ctx context.Context, tx *tenants.Tx, one, other tenants.Actor) (same bool, err error) {
	err = tx.QueryRow(ctx, `WITH RECURSIVE behind AS (
			SELECT a.actor, a.actor AS person FROM unnest($1::text[]) AS a(actor)
			UNION SELECT b.actor, k.created_by FROM behind b JOIN api_keys k ON 'key:' || k.name = b.person AND k.created_by ~ '^(user|key):')
		SELECT EXISTS (SELECT FROM behind x JOIN behind y USING (person) WHERE x.actor = $2 AND y.actor = $3)`,
		[]string{string(one), string(other)}, string(one), string(other)).Scan(&same)
	return same, err
}

// refundTotal is what the acquirer says went back so far; what went by transfer or cash and lost disputes are not in it.
func refundTotal(ctx context.Context, tx *tenants.Tx, attempt uuid.UUID) (total int64, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(f.minor), 0) FROM facts f WHERE f.attempt_id = $1 AND f.kind = 'refund_total'
		AND f.currency = (SELECT p.currency FROM facts p WHERE p.attempt_id = $1 AND p.kind = 'observed' AND p.status = 'paid' ORDER BY p.minor DESC LIMIT 1)`,
		attempt).Scan(&total)
	return total, err
}

// Refunding is a refund as people see it.
type Refunding struct {
	ID         uuid.UUID     `db:"id"`
	InvoiceID  uuid.UUID     `db:"invoice_id"`
	Minor      int64         `db:"minor"`
	Currency   string        `db:"currency"`
	Status     string        `db:"status"` // waiting (for a second person), requested, sending, done, refused, unknown, undone
	Method     RefundMethod  `db:"method"`
	Reference  string        `db:"reference"`
	Reason     string        `db:"reason"`
	AskedBy    tenants.Actor `db:"asked_by"`
	ApprovedBy tenants.Actor `db:"approved_by"`
	CreatedAt  time.Time     `db:"created_at"`
}

// Refunds lists the refunds of these invoices in the order they were asked for.
func Refunds(ctx context.Context, tx *tenants.Tx, invoices ...uuid.UUID) ([]Refunding, error) {
	return tenants.Rows[Refunding](ctx, tx, `SELECT id, invoice_id, minor, currency, status, method, reference, reason, asked_by, approved_by, created_at
		FROM refunds WHERE invoice_id = ANY($1) ORDER BY created_at, id`, invoices)
}
