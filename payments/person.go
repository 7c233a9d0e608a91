package payments

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/google/uuid"
)

// Received is money that came outside (cash, bank transfer), as a person saw it.
type Received struct {
	Method     string    `json:"method"` // cash, transfer, other
	Amount     Money     `json:"amount"`
	ReceivedAt time.Time `json:"received_at"`
	Reference  string    `json:"reference"`
	Reason     string    `json:"reason"`
	Key        string    `json:"-"` // idempotency key; may be empty
	Request    []byte    `json:"-"`
}

// check refuses what cannot have happened as it is told. More than is outstanding can: somebody holds that money, so it stands on
// the invoice, and what is too much shows as such.
func (r Received) check(in Invoice, now time.Time) error {
	if err := chargeable(r.Amount); err != nil {
		return err
	}
	switch {
	case r.Method != "cash" && r.Method != "transfer" && r.Method != "other":
		return invalid("method_unknown", "The method must be cash, transfer or other.")
	case r.Amount.Currency != in.Currency:
		return invalid("currency_mixed", "The invoice is in %s.", in.Currency)
	case r.ReceivedAt.IsZero() || r.ReceivedAt.After(now.Add(24*time.Hour)):
		return invalid("time_unusable", "Say when the money came; not in the future.")
	case strings.TrimSpace(r.Reference) == "" || strings.TrimSpace(r.Reason) == "":
		return invalid("reference_empty", "A reference and a reason are needed.")
	}
	return errors.Join(because(r.Reason, "Say why."), referring(r.Reference))
}

// Receive records money received outside, as operator evidence; it at once closes or reduces the open link. It returns the
// payment's id. Errors: ErrNotFound, ErrRole, ErrState, Invalid.
func (s *Service) Receive(ctx context.Context, id tenants.ID, by By, invoice uuid.UUID, r Received) (uuid.UUID, Invoice, error) {
	payment := tenants.NewUUID()
	if !by.Role.Allows(tenants.Accountant) {
		return payment, Invoice{}, ErrRole
	}
	after, err := s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		ref, seen, err := tx.Once(ctx, r.Key, append([]byte("payment "+invoice.String()+" "), r.Request...), payment.String())
		if err != nil {
			return err
		}
		if seen {
			payment, err = uuid.Parse(ref)
			return err
		}
		p, _, err := picture(ctx, tx, in)
		if err != nil {
			return err
		}
		if _, err := state.Decide(p, state.Record); err != nil {
			return err
		}
		if err := r.check(in, s.Now()); err != nil {
			return err
		}
		if err := s.seal(ctx, tx, in); err != nil {
			return err
		}
		return s.record(ctx, tx, in, by.Actor, "payment.recorded", finding{
			Fact:     state.Fact{Kind: state.Received, At: s.Now(), Ref: payment.String(), Amount: r.Amount},
			evidence: evidence{Source: "person", Method: r.Method, Received: &r.ReceivedAt, Reference: r.Reference, Reason: r.Reason}})
	})
	return payment, after, err
}

// Reverse undoes a payment recorded by a person, by a counter-entry. Errors: ErrNotFound, ErrRole, Invalid.
func (s *Service) Reverse(ctx context.Context, id tenants.ID, by By, payment uuid.UUID, reason string) (Invoice, error) {
	if !by.Role.Allows(tenants.Accountant) {
		return Invoice{}, ErrRole
	}
	if err := because(reason, "Say why the payment is undone."); err != nil {
		return Invoice{}, err
	}
	var invoice uuid.UUID
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		invoice, err = InvoiceOf(ctx, tx, payment)
		return err
	})
	if err != nil {
		return Invoice{}, err
	}
	return s.change(ctx, id, invoice, func(ctx context.Context, tx *tenants.Tx, in Invoice) error {
		var undone bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM facts WHERE kind = 'reversed' AND ref = $1)`, payment.String()).Scan(&undone); err != nil {
			return err
		}
		if undone {
			return ErrState
		}
		return s.record(ctx, tx, in, by.Actor, "payment.reversed", finding{
			Fact:     state.Fact{Kind: state.Reversed, At: s.Now(), Ref: payment.String()},
			evidence: evidence{Source: "person", Reason: reason}})
	})
}

// InvoiceOf finds the invoice of a payment recorded by a person. Error: ErrNotFound.
func InvoiceOf(ctx context.Context, tx *tenants.Tx, payment uuid.UUID) (invoice uuid.UUID, err error) {
	_, err = one(struct{}{}, tx.QueryRow(ctx, `SELECT invoice_id FROM facts WHERE kind = 'received' AND ref = $1`, payment.String()).Scan(&invoice))
	return invoice, err
}

// Choice is a person's decision about an exception.
type Choice struct {
	Decision  string       `json:"decision"`
	Reason    string       `json:"reason"`
	Reference string       `json:"reference"`
	Invoice   string       `json:"invoice,omitempty"` // of "move": number or id of the invoice that gets the money
	Method    RefundMethod `json:"method,omitempty"`  // of "refund_outside": transfer (when empty) or cash
}

// Resolve carries out a person's decision about an exception: one of those it offers.
// Errors: ErrNotFound, ErrRole, Invalid, ErrState (also when it is closed).
func (s *Service) Resolve(ctx context.Context, id tenants.ID, by By, exception uuid.UUID, c Choice) (Exception, error) {
	var e Exception
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		var err error
		if e, err = one(tenants.Row[Exception](ctx, tx, `SELECT `+exceptionColumns+` FROM exceptions WHERE id = $1 FOR UPDATE`, exception)); err != nil {
			return err
		}
		if e.ClosedAt != nil {
			return ErrState
		}
		if !slices.Contains(e.Decisions(), c.Decision) {
			return invalid("decision_not_offered", "Choose one of: %s.", strings.Join(e.Decisions(), ", "))
		}
		if err := errors.Join(because(c.Reason, "Say why."), referring(c.Reference)); err != nil {
			return err
		}
		if !by.Role.Allows(needed(c.Decision)) {
			return ErrRole
		}
		if slices.Contains(reviews, state.ReviewKind(e.Kind)) {
			err = s.resolveReview(ctx, tx, by, e, c)
		} else {
			err = s.resolveOther(ctx, tx, by, e, c)
		}
		if err != nil {
			return err
		}
		if err := tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "exception.resolved", DealID: e.DealID, Invoice: e.InvoiceID,
			Before: e.Kind, After: c.Decision}, c); err != nil {
			return err
		}
		e, err = one(tenants.Row[Exception](ctx, tx, `SELECT `+exceptionColumns+` FROM exceptions WHERE id = $1`, exception))
		return err
	})
	return e, err
}

// reviews are the kinds of exceptions that the fold opens and closes.
var reviews = []state.ReviewKind{state.WrongAmount, state.WrongCurrency, state.WrongMerchant, state.SecondPayment, state.PaidAfterCancel,
	state.PaidAfterExpiry, state.RefundAfterMove}

// needed is the role for a decision: what moves or forgives money is the administrator's.
func needed(decision string) tenants.Role {
	switch decision {
	case "refund", "refund_outside", "move", "undo_move", "approve", "reject", "write_off", "refunded", "not_refunded":
		return tenants.Admin
	}
	return tenants.Manager
}

func (s *Service) resolveReview(ctx context.Context, tx *tenants.Tx, by By, e Exception, c Choice) error {
	switch c.Decision {
	case "move":
		return s.moveReview(ctx, tx, by, e, c)
	case "undo_move":
		return s.undoMovesOf(ctx, tx, by, e, c.Reason)
	}
	in, err := lock(ctx, tx, *e.InvoiceID)
	if err != nil {
		return err
	}
	if c.Decision == "refund" || c.Decision == "refund_outside" { // the review ends by itself when the money went back
		left, err := stays(ctx, tx, in, *e.AttemptID)
		if err != nil {
			return err
		}
		return s.askRefund(ctx, tx, in, by, tenants.NewUUID(), c.refund(e, left))
	}
	if err := s.record(ctx, tx, in, by.Actor, "review.resolved", finding{
		Fact:     state.Fact{Kind: state.Resolved, At: s.Now(), Attempt: e.AttemptID.String(), Ref: e.ID.String(), Decision: state.Decision(c.Decision)},
		evidence: evidence{Source: "person", Reason: c.Reason, Reference: c.Reference}}); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE exceptions SET decision = $2 WHERE id = $1`, e.ID, c.Decision)
	return err
}

// refund is what a person asks for who decides to give this money of an exception back.
func (c Choice) refund(e Exception, amount Money) RefundRequest {
	r := RefundRequest{Attempt: e.AttemptID.String(), Reason: c.Reason, Amount: amount}
	if c.Decision == "refund_outside" {
		r.Method, r.Reference = cmp.Or(c.Method, ByTransfer), c.Reference
	}
	return r
}

func (s *Service) resolveOther(ctx context.Context, tx *tenants.Tx, by By, e Exception, c Choice) error {
	switch {
	case e.Kind == RefundUnknown:
		if err := s.sayRefunded(ctx, tx, by, e, c); err != nil {
			return err
		}
	case e.Kind == RefundFailed && c.Decision != "dismiss":
		in, err := lock(ctx, tx, *e.InvoiceID)
		if err == nil {
			err = s.askRefund(ctx, tx, in, by, tenants.NewUUID(), c.refund(e, Money{Minor: e.Minor, Currency: e.Currency}))
		}
		if err != nil {
			return err
		}
	case e.Kind == DealGone && c.Decision == "move":
		if err := s.moveGone(ctx, tx, by, e, c); err != nil {
			return err
		}
	case e.Kind == Orphan && c.Decision == "refund_outside":
		if err := s.returnOutside(ctx, tx, by, e, c); err != nil {
			return err
		}
	case e.Kind == Orphan && c.Decision == "move":
		if err := s.moveOrphan(ctx, tx, by, e, c); err != nil {
			return err
		}
	case e.Kind == RefundApproval:
		return s.approve(ctx, tx, by, uuid.MustParse(strings.TrimPrefix(e.Key, RefundApproval+":")), c)
	case c.Decision == "retry" && e.Kind != SyncFailed: // nothing of ours changed: it has to be written all the same
		if err := outbox.Rewrite(ctx, tx, e.DealID, e.Kind == DealMoved, s.Now()); err != nil {
			return err
		}
	case c.Decision == "retry":
		if err := outbox.Revive(ctx, tx, e.DealID, s.Now()); err != nil {
			return err
		}
		if err := outbox.Make(ctx, tx, outbox.Push, e.DealID, s.Now()); err != nil {
			return err
		}
	}
	return Settle(ctx, tx, e.Key, by.Actor, c.Decision, s.Now())
}
