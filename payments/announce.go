package payments

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// change is an invoice before and after new facts.
type change struct {
	in            Invoice
	before, after state.Picture
	by            tenants.Actor
	now           time.Time
	known         int // facts, with those that made the change
}

func (c change) earlier(attempt string) state.AttemptPicture {
	for _, a := range c.before.Attempts {
		if a.ID == attempt {
			return a
		}
	}
	return state.AttemptPicture{}
}

// announce plans one note for each thing that happened. Keys are made of what happened, so that learning it twice is
// one note.
func (c change) announce(ctx context.Context, tx *tenants.Tx, fresh []finding) error {
	told, err := c.tellByHand(ctx, tx, fresh)
	if err != nil {
		return err
	}
	for _, a := range c.after.Attempts {
		was := c.earlier(a.ID)
		if a.Status == state.AttemptPaid && was.Status != state.AttemptPaid {
			told = true
			if err := c.note(ctx, tx, c.capturedAs(a.ID), "captured:"+a.ID, a.ID, a.Captured); err != nil {
				return err
			}
		}
		if err := c.tellRefund(ctx, tx, a, was, &told); err != nil {
			return err
		}
		if a.Status == state.AttemptFailed && was.Status != state.AttemptFailed {
			told = true
			if err := c.note(ctx, tx, "failed", "failed:"+a.ID, a.ID, a.Asked); err != nil {
				return err
			}
		}
	}
	if told || c.decided() || c.after.Status == c.before.Status {
		return nil
	}
	switch c.after.Status {
	case state.AwaitingPayment, state.PaymentFailed: // nothing that a person should read
		return nil
	}
	key := fmt.Sprintf("status:%s:%s:%d", c.after.Status, c.in.ID, c.known) // what was undone and done again is told again
	payment, amount := c.subject(fresh)
	return c.note(ctx, tx, string(c.after.Status), key, payment, amount)
}

// subject is the payment that a note of a new status names, and the amount it tells. That an invoice is paid is told with what
// came: after a decision, of the payment that a person decided about, which may be less or more than the invoice asks for.
func (c change) subject(fresh []finding) (payment string, amount Money) {
	payment, amount = c.after.PaidBy, c.in.Amount()
	if c.after.Status != state.Paid {
		return payment, amount
	}
	for _, f := range fresh {
		if f.Kind == state.Resolved && f.Decision != state.NotOurs {
			payment = f.Attempt
		}
	}
	for _, a := range c.after.Attempts {
		if a.ID == payment {
			amount = Money{Minor: a.Captured.Minor - a.Moved, Currency: a.Captured.Currency}
		}
	}
	return payment, amount
}

// tellRefund tells of money that the acquirer gave back, and of a refund that came to nothing.
func (c change) tellRefund(ctx context.Context, tx *tenants.Tx, a, was state.AttemptPicture, told *bool) error {
	back := func(a state.AttemptPicture) int64 { return a.Refunded - a.Lost - a.Given }
	more, what := back(a)-back(was), "refunded"
	if more < 0 {
		more, what = -more, RefundFailed
	}
	if more == 0 {
		return nil
	}
	*told = true
	key := fmt.Sprintf("%s:%s:%d", what, a.ID, c.known)
	return c.note(ctx, tx, what, key, a.ID, Money{Minor: more, Currency: a.Captured.Currency})
}

// byHand are the facts that rest on a person's word alone and have a note each, by what it tells.
var byHand = map[state.FactKind]string{
	state.Received:        "received",
	state.Reversed:        "received_undone",
	state.GivenBack:       "given_back",
	state.GivenBackUndone: "given_back_undone",
	state.Unresolved:      "decision_undone",
	state.MovedOut:        "moved_out",
	state.MovedIn:         "moved_in",
	state.MoveUndone:      "move_undone",
}

// tellByHand tells of what a person recorded or took back, in words of its own, so that nobody takes it for the acquirer's. The
// person's reasons are not for the deal.
func (c change) tellByHand(ctx context.Context, tx *tenants.Tx, fresh []finding) (told bool, err error) {
	for _, f := range fresh {
		what, ours := byHand[f.Kind]
		if !ours {
			continue
		}
		told = true
		key := what + ":" + cmp.Or(f.Ref, f.Attempt)
		switch f.Kind {
		case state.Unresolved:
			if err := c.note(ctx, tx, what, key, f.Attempt, c.earlier(f.Attempt).Captured); err != nil {
				return told, err
			}
			continue
		case state.MovedOut, state.MovedIn, state.MoveUndone:
			if err := c.tellMove(ctx, tx, what, f); err != nil {
				return told, err
			}
			continue
		case state.Reversed, state.GivenBackUndone:
			if f, err = recorded(ctx, tx, c.in, f.Ref); err != nil {
				return told, err
			}
		}
		c.tell(tx, key, outbox.Telling{What: what, Minor: f.Amount.Minor, Currency: f.Amount.Currency,
			ByHand: f.evidence.Method, Reference: f.evidence.Reference})
	}
	return told, nil
}

// tellMove tells each of the two deals of a move, or of its undoing, what it means for its own invoice. Both name the payment
// whose money it is, as the acquirer calls it.
func (c change) tellMove(ctx context.Context, tx *tenants.Tx, what string, f finding) (err error) {
	if f.Kind == state.MoveUndone {
		if f, err = recorded(ctx, tx, c.in, f.Ref); err != nil {
			return err
		}
	}
	t := outbox.Telling{What: what, Minor: f.Amount.Minor, Currency: f.Amount.Currency, Other: f.evidence.Reference}
	if f.evidence.Orphan != "" { // it came from no invoice
		t.Other, t.Reference = "", f.evidence.Reference
	} else if err := tx.QueryRow(ctx, `SELECT a.provider_ref FROM facts f JOIN attempts a ON a.tenant_id = f.tenant_id AND a.id = f.attempt_id
		WHERE f.kind = 'moved_out' AND f.ref = $1`, f.Ref).Scan(&t.Reference); err != nil {
		return fmt.Errorf("read moved payment: %w", err)
	}
	c.tell(tx, what+":"+f.Ref+":"+c.in.ID.String(), t)
	return nil
}

// recorded is a payment, a refund or a move as a person recorded it. Error: ErrNotFound.
func recorded(ctx context.Context, tx *tenants.Tx, in Invoice, ref string) (finding, error) {
	rows, err := factRows(ctx, tx, in.ID)
	for _, r := range rows {
		switch r.Kind {
		case state.Received, state.GivenBack, state.MovedOut, state.MovedIn:
			if r.Ref == ref {
				return finding{r.fact(), r.Evidence}, nil
			}
		}
	}
	return finding{}, cmp.Or(err, ErrNotFound)
}

// capturedAs is what a note says of captured money: that it pays, or why it waits for a person.
func (c change) capturedAs(attempt string) string {
	for _, r := range c.after.Reviews {
		if r.Attempt == attempt {
			return string(r.Kind)
		}
	}
	return "paid"
}

func (c change) note(ctx context.Context, tx *tenants.Tx, what, key, attempt string, amount Money) error {
	reference := ""
	if attempt != "" {
		if err := tx.QueryRow(ctx, `SELECT provider_ref FROM attempts WHERE id = $1`, attempt).Scan(&reference); err != nil {
			return fmt.Errorf("read reference: %w", err)
		}
	}
	c.tell(tx, key, outbox.Telling{What: what, Minor: amount.Minor, Currency: amount.Currency, Reference: reference})
	return nil
}

func (c change) tell(tx *tenants.Tx, key string, t outbox.Telling) {
	t.Invoice, t.At = c.in.Number, c.now
	outbox.Plan(tx, outbox.Note, "note:"+key, c.in.DealID, t)
}

// exceptions opens one for each new review and closes those whose review ended.
func (c change) exceptions(ctx context.Context, tx *tenants.Tx) error {
	open := map[string]bool{}
	for _, r := range c.after.Reviews {
		key := string(r.Kind) + ":" + r.Attempt
		open[key] = true
		if err := c.raise(ctx, tx, string(r.Kind), key, r.Attempt, r.Received); err != nil {
			return err
		}
	}
	for _, r := range c.before.Reviews {
		if key := string(r.Kind) + ":" + r.Attempt; !open[key] {
			if err := Settle(ctx, tx, key, c.by, "", c.now); err != nil {
				return err
			}
		}
	}
	return c.alarms(ctx, tx)
}
