package payments

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
)

// RefundRequest asks to give money of an invoice back.
type RefundRequest struct {
	Amount    Money        `json:"amount"`
	Reason    string       `json:"reason"`
	Attempt   string       `json:"attempt"`   // empty: the newest payment that holds enough
	Method    RefundMethod `json:"method"`    // empty: by the acquirer
	Reference string       `json:"reference"` // of a transfer or cash order
	Key       string       `json:"-"`
	Request   []byte       `json:"-"`
}

type refund struct {
	ID        uuid.UUID     `db:"id"`
	InvoiceID uuid.UUID     `db:"invoice_id"`
	AttemptID uuid.UUID     `db:"attempt_id"`
	Minor     int64         `db:"minor"`
	Currency  string        `db:"currency"`
	Status    string        `db:"status"`
	Before    int64         `db:"before"`
	AskedBy   tenants.Actor `db:"asked_by"`
	SentAt    *time.Time    `db:"sent_at"`
	Method    RefundMethod  `db:"method"`
	Reference string        `db:"reference"`
	Reason    string        `db:"reason"`
}

func (r refund) amount() Money { return Money{Minor: r.Minor, Currency: r.Currency} }

const refundColumns = `id, invoice_id, attempt_id, minor, currency, status, before, asked_by, sent_at, method, reference, reason`

// Refund promises to give money back; the acquirer is asked by a worker. The same key with the same request is one
// refund. Errors: ErrNotFound, ErrRole, ErrState, Invalid, tenants.ErrOtherBody.
func (s *Service) Refund(ctx context.Context, id tenants.ID, by By, invoice uuid.UUID, r RefundRequest) (Invoice, error) {
	if !by.Role.Allows(tenants.Admin) {
		return Invoice{}, ErrRole
	}
	return s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		fresh := tenants.NewUUID()
		_, seen, err := tx.Once(ctx, r.Key, append([]byte("refund "+invoice.String()+" "), r.Request...), fresh.String())
		if err != nil || seen {
			return err
		}
		return s.askRefund(ctx, tx, in, by, fresh, r)
	})
}

func (s *Service) askRefund(ctx context.Context, tx *tenants.Tx, in Invoice, by By, id uuid.UUID, r RefundRequest) error {
	if err := because(r.Reason, "Say why the money goes back."); err != nil {
		return err
	}
	p, _, err := picture(ctx, tx, in)
	if err != nil {
		return err
	}
	if _, err := state.Decide(p, state.Refund); err != nil {
		return err
	}
	if err := chargeable(r.Amount); err != nil {
		return err
	}
	a, err := refundable(p, r)
	if err != nil {
		return err
	}
	row, err := attempt(ctx, tx, uuid.MustParse(a.ID))
	if err != nil {
		return err
	}
	if err := s.possible(ctx, tx, row, a, &r); err != nil {
		return err
	}
	status, err := s.refundStart(ctx, tx, in.ID, r.Amount)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO refunds (tenant_id, id, invoice_id, attempt_id, minor, currency, reason, asked_by, created_at, status, method, reference)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, tx.Tenant().String(), id, in.ID, a.ID, r.Amount.Minor, r.Amount.Currency, r.Reason,
		string(by.Actor), s.Now(), status, string(r.Method), r.Reference)
	if tenants.Conflict(err, "refunds_one_open") {
		return errors.Join(ErrState, errors.New("a refund of this payment is under way"))
	}
	if err != nil {
		return err
	}
	if err := tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "refund.asked", DealID: in.DealID, Invoice: &in.ID,
		Before: string(in.Status), After: string(in.Status)}, map[string]any{"amount": r.Amount, "reason": r.Reason, "refund": id, "method": r.Method}); err != nil {
		return err
	}
	asked, err := one(tenants.Row[refund](ctx, tx, `SELECT `+refundColumns+` FROM refunds WHERE id = $1`, id))
	if err != nil {
		return err
	}
	return s.startRefund(ctx, tx, in, asked)
}

// refundable finds the payment that the money goes back from, capped at what it still holds.
func refundable(p state.Picture, r RefundRequest) (state.AttemptPicture, error) {
	var most int64
	for i := len(p.Attempts) - 1; i >= 0; i-- {
		a := p.Attempts[i]
		if a.Status != state.AttemptPaid || a.NotOurs || a.Captured.Currency != r.Amount.Currency || (r.Attempt != "" && r.Attempt != a.ID) {
			continue
		}
		held := a.Captured.Minor - a.Refunded - a.Moved
		if held >= r.Amount.Minor {
			return a, nil
		}
		most = max(most, held)
	}
	return state.AttemptPicture{}, invalid("refund_too_large", "At most %s can go back.", Money{Minor: most, Currency: r.Amount.Currency})
}

// refundDoubt is how long an unclear refund is looked up before a person is asked.
const refundDoubt = 15 * time.Minute

// SendRefund keeps the promise to give money back. It writes down that it is about to call, calls once, and after an
// unclear end only looks: the money never goes twice. It returns when to look again, or the zero time.
func (s *Service) SendRefund(ctx context.Context, id tenants.ID, refundID uuid.UUID) (time.Time, error) {
	var r refund
	var o opening
	var mine bool
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		mine = false
		if r, o, err = s.refundOf(ctx, tx, refundID); err != nil || r.Status != "requested" {
			return err
		}
		if _, ok := s.Providers[o.attempt.Acquirer].(Refunder); !ok {
			return s.closeRefund(ctx, tx, &r, "refused", "the acquirer has no refund")
		}
		mine = true
		return s.closeRefund(ctx, tx, &r, "sending", "")
	})
	if err != nil || r.Status == "done" || r.Status == "refused" || r.Status == "waiting" {
		return time.Time{}, err
	}
	if mine {
		err := s.Providers[o.attempt.Acquirer].(Refunder).Refund(ctx, o.conn, o.order("en"), r.ID.String(), r.amount())
		switch {
		case errors.Is(err, ErrRefused), errors.Is(err, ErrCredentials):
			if err := s.narrow(ctx, id, o.attempt, err); err != nil {
				return time.Time{}, err
			}
			return time.Time{}, s.endRefund(ctx, id, &r, "refused", "the acquirer refused the refund")
		case err != nil:
			s.Log.WarnContext(ctx, "refund unclear", "tenant", id, "refund", r.ID, "err", err)
		}
	}
	if err := s.Verify(ctx, id, r.AttemptID, evidence{Source: "status_answer", AskedAfter: "refund " + r.ID.String()}); err != nil {
		if !s.doubtful(r) {
			return time.Time{}, err
		}
		s.Log.WarnContext(ctx, "no answer about a refund", "tenant", id, "refund", r.ID, "err", err)
	}
	return s.judgeRefund(ctx, id, r)
}

// doubtful says whether a refund has been unclear for so long that a person must know of it, also while the acquirer cannot be
// asked: nobody would hear of it otherwise. It goes on being looked up.
func (s *Service) doubtful(r refund) bool {
	return r.SentAt != nil && s.Now().Sub(*r.SentAt) > refundDoubt
}

// judgeRefund decides by the acquirer's own total whether the refund went through.
func (s *Service) judgeRefund(ctx context.Context, id tenants.ID, r refund) (time.Time, error) {
	var total int64
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		total, err = refundTotal(ctx, tx, r.AttemptID)
		return err
	})
	switch {
	case err != nil:
		return time.Time{}, err
	case total >= r.Before+r.Minor:
		return time.Time{}, s.endRefund(ctx, id, &r, "done", "")
	case s.doubtful(r):
		return s.Now().Add(time.Hour), s.endRefund(ctx, id, &r, "unknown", "")
	}
	return s.Now().Add(30 * time.Second), nil
}

// refundOf reads a refund, and nobody else changes it until the transaction ends.
func (s *Service) refundOf(ctx context.Context, tx *tenants.Tx, id uuid.UUID) (r refund, o opening, err error) {
	if r, err = one(tenants.Row[refund](ctx, tx, `SELECT `+refundColumns+` FROM refunds WHERE id = $1`, id)); err != nil {
		return r, o, err
	}
	if o.invoice, err = lock(ctx, tx, r.InvoiceID); err != nil {
		return r, o, err
	}
	if r, err = one(tenants.Row[refund](ctx, tx, `SELECT `+refundColumns+` FROM refunds WHERE id = $1 FOR UPDATE`, id)); err != nil {
		return r, o, err
	}
	if o.attempt, err = attempt(ctx, tx, r.AttemptID); err != nil {
		return r, o, err
	}
	if o.conn, err = s.connection(ctx, tx, o.attempt.ConnectionID); err == nil && r.Status == "requested" {
		r.Before, err = refundTotal(ctx, tx, r.AttemptID)
	}
	return r, o, err
}

// sayRefunded keeps a person's word on a refund whose outcome the acquirer does not tell. What went back is a fact as the
// acquirer would tell it, so that telling it later adds nothing, and nobody gives the same money back again.
func (s *Service) sayRefunded(ctx context.Context, tx *tenants.Tx, by By, e Exception, c Choice) error {
	in, err := lock(ctx, tx, *e.InvoiceID)
	if err != nil {
		return err
	}
	status := map[string]string{"refunded": "done", "not_refunded": "refused"}[c.Decision]
	r, err := one(tenants.Row[refund](ctx, tx, `UPDATE refunds SET status = $2 WHERE id = $1 AND status = 'unknown' RETURNING `+refundColumns,
		strings.TrimPrefix(e.Key, RefundUnknown+":"), status))
	if errors.Is(err, ErrNotFound) {
		return ErrState
	}
	if err != nil || status != "done" {
		return err
	}
	return s.record(ctx, tx, in, by.Actor, "refund.done", finding{
		state.Fact{Kind: state.RefundTotal, At: s.Now(), Attempt: r.AttemptID.String(), Ref: r.ID.String(),
			Amount: Money{Minor: r.Before + r.Minor, Currency: r.Currency}},
		evidence{Source: "person", Reason: c.Reason, Reference: c.Reference}})
}

// endRefund is closeRefund in a transaction of its own.
func (s *Service) endRefund(ctx context.Context, id tenants.ID, r *refund, status, why string) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		was := *r
		err := s.closeRefund(ctx, tx, &was, status, why)
		if err == nil {
			*r = was
		}
		return err
	})
}

// closeRefund moves a refund from the status it was read in; if somebody else moved it meanwhile, theirs stands.
func (s *Service) closeRefund(ctx context.Context, tx *tenants.Tx, r *refund, status, why string) error {
	in, err := lock(ctx, tx, r.InvoiceID)
	if err != nil {
		return err
	}
	if r.SentAt == nil {
		now := s.Now()
		r.SentAt = &now
	}
	tag, err := tx.Exec(ctx, `UPDATE refunds SET status = $2, before = $3, sent_at = $4 WHERE id = $1 AND status = $5 AND status <> $2`,
		r.ID, status, r.Before, r.SentAt, r.Status)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	r.Status = status
	key := RefundUnknown + ":" + r.ID.String()
	switch status {
	case "unknown":
		err = Raise(ctx, tx, Exception{Kind: RefundUnknown, Key: key, DealID: in.DealID, InvoiceID: &in.ID, AttemptID: &r.AttemptID,
			Minor: r.Minor, Currency: r.Currency, Reference: in.Reference, OpenedAt: s.Now()}, in.Number)
	case "done", "refused":
		err = Settle(ctx, tx, key, tenants.Acquirer, status, s.Now())
	}
	if err != nil {
		return err
	}
	return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: r.AskedBy, Action: "refund." + status, DealID: in.DealID, Invoice: &in.ID,
		Before: string(in.Status), After: string(in.Status)}, map[string]string{"refund": r.ID.String(), "why": why})
}
